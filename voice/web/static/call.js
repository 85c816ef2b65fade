// One call: microphone, WebRTC connection and RTVI messages, as pipecat's SmallWebRTC clients speak them.
// It tells the page what happens through events and knows nothing of how it looks.

const RTVI = "rtvi-ai";
const RTVI_VERSION = "2.2.0";
const PING_MS = 1000; // pipecat takes a client without a ping for three seconds to be gone
const GRACE_MS = 3000; // a broken connection may mend itself for this long
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const SILENT = new Set(["NotAllowedError", "SecurityError"]);

/** What went wrong, in words for the caller; `again`: whether trying again by itself makes sense. */
export class CallError extends Error {
  constructor(message, again = false) {
    super(message);
    this.again = again;
  }
}

export class Call extends EventTarget {
  #token;
  #microphone = null;
  #connection = null;
  #channel = null;
  #id = null;
  #ping = 0;
  #grace = 0;
  #over = false;

  constructor(token) {
    super();
    this.#token = token;
  }

  /** Ask for the microphone and call. Throws CallError. */
  async begin(deviceId) {
    this.#microphone = await openMicrophone(deviceId);
    if (this.#over) return this.#release();
    this.#emit("microphone", this.#microphone);
    await this.#connect();
  }

  /** Hang up. */
  end() {
    if (this.#over) return;
    this.#over = true;
    this.#send("disconnect-bot");
    this.#release();
    this.#emit("ended", "");
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async #connect() {
    const ice = await this.#request("GET", "api/ice");
    if (this.#over) return;
    const connection = new RTCPeerConnection(ice);
    this.#connection = connection;
    for (const track of this.#microphone.getTracks()) connection.addTrack(track, this.#microphone);
    connection.addEventListener("track", (event) => this.#emit("sound", new MediaStream([event.track])));
    connection.addEventListener("connectionstatechange", () => this.#changed(connection));
    this.#open(connection.createDataChannel("chat", { ordered: true }));

    const found = [];
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) found.push(candidate);
    });
    await connection.setLocalDescription(await connection.createOffer());
    const offer = { sdp: connection.localDescription.sdp, type: "offer" };
    if (this.#id) Object.assign(offer, { pc_id: this.#id, restart_pc: true });
    const answer = await this.#request("POST", "api/offer", offer);
    if (connection !== this.#connection) return;
    this.#id = answer.pc_id;
    await connection.setRemoteDescription(answer);
    const sendNow = (candidates) => this.#trickle(answer.pc_id, candidates);
    sendNow(found.splice(0));
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) sendNow([candidate]);
    });
  }

  #open(channel) {
    this.#channel = channel;
    channel.addEventListener("open", () => {
      this.#ping = setInterval(() => channel.readyState === "open" && channel.send(`ping: ${Date.now()}`), PING_MS);
      channel.send(`ping: ${Date.now()}`);
      this.#send("client-ready", { version: RTVI_VERSION, about: { library: "offhook-page" } });
    });
    channel.addEventListener("close", () => clearInterval(this.#ping));
    channel.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
  }

  #receive(message) {
    if (message.type === "signalling" && message.message?.type === "peerLeft") {
      this.#finish("The agent hung up.");
    } else if (message.label === RTVI && message.type === "server-message" && message.data?.type === "ended") {
      this.#finish(ending(message.data.reason));
    } else if (message.label === RTVI) {
      this.#emit("message", message);
    }
  }

  #send(type, data = {}) {
    if (this.#channel?.readyState !== "open") return;
    this.#channel.send(JSON.stringify({ label: RTVI, type, id: crypto.randomUUID().slice(0, 8), data }));
  }

  #changed(connection) {
    if (connection !== this.#connection || this.#over) return;
    clearTimeout(this.#grace);
    if (connection.connectionState === "connected") this.#emit("connected");
    if (connection.connectionState === "failed") this.#reconnect();
    if (connection.connectionState === "disconnected") {
      this.#emit("dropped");
      this.#grace = setTimeout(() => this.#reconnect(), GRACE_MS);
    }
  }

  async #reconnect() {
    this.#emit("dropped");
    for (const wait of RETRY_MS) {
      this.#drop();
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#over) return;
      try {
        return await this.#connect();
      } catch (error) {
        if (!error.again) return this.#finish(error.message);
      }
    }
    this.#finish("The connection is lost. Check your network, then call again.");
  }

  #finish(reason) {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    this.#emit("ended", reason);
  }

  #drop() {
    clearInterval(this.#ping);
    clearTimeout(this.#grace);
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  #release() {
    // What was just sent on the channel still has to leave.
    const connection = this.#connection;
    this.#connection = null;
    clearInterval(this.#ping);
    clearTimeout(this.#grace);
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    setTimeout(() => connection?.close(), 100);
  }

  #trickle(id, candidates) {
    if (!candidates.length) return;
    const body = {
      pc_id: id,
      candidates: candidates.map((one) => ({
        candidate: one.candidate,
        sdp_mid: one.sdpMid,
        sdp_mline_index: one.sdpMLineIndex,
      })),
    };
    this.#request("PATCH", "api/offer", body).catch(() => {}); // the connection's own state tells
  }

  async #request(method, path, body) {
    const headers = {};
    if (body) headers["content-type"] = "application/json";
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new CallError("The server cannot be reached. Check your network, then call again.", true);
    }
    if (response.ok) return response.json();
    const { error = "" } = await response.json().catch(() => ({}));
    throw refusal(response.status, error);
  }
}

/** Why a call has ended, in words for the caller; the server's own are for its log. */
const ENDINGS = [
  ["nobody spoke", "The call has ended, because nobody spoke for a while."],
  ["the caller said nothing", "The call has ended, because you said nothing for a while."],
  ["reached max_call_seconds", "The call has ended: it was as long as a call may be."],
  ["no audio", "The call has ended: no sound came from your microphone any more."],
  ["the agent hung up", "The agent hung up."],
];

function ending(reason) {
  return ENDINGS.find(([beginning]) => reason.startsWith(beginning))?.[1] ?? "The call has ended.";
}

function refusal(status, error) {
  if (status === 401) return new CallError("You need an invitation to call: open the link you were given again.");
  if (status === 403) return new CallError(`You may not call from here: ${error}.`);
  if (status === 429) return new CallError("Too many calls from you at once. Wait a minute, then call again.");
  if (status === 503) return new CallError("All lines are busy just now. Please call again in a moment.", true);
  return new CallError(`The server did not take the call: ${error || status}.`);
}

async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices) {
    throw new CallError("The browser gives pages the microphone over https only. Open this page over https.");
  }
  const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted,
    });
  } catch (error) {
    if (SILENT.has(error.name)) {
      throw new CallError("The microphone is not allowed. Allow it in the address bar, then call again.");
    }
    if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
      throw new CallError("No microphone was found. Plug one in or choose another, then call again.");
    }
    throw new CallError("The microphone cannot be used. Another program may hold it; close that, then call again.");
  }
}
