// pipecat's own browser client, as one script for the test's page.
import { PipecatClient } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

window.pipecat = { PipecatClient, SmallWebRTCTransport, WavMediaManager };
