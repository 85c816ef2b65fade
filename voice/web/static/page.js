// The page: one button, the conversation, and how long each answer took.

import { Call } from "./call.js";
import { Levels } from "./levels.js";
import { Transcript } from "./transcript.js";

const TOKEN_KEY = "token";
const $ = (id) => document.getElementById(id);

const transcript = new Transcript($("transcript"), $("summary"), $("session"));
const levels = new Levels();
let call = null;

// A site that embeds calls links here with #token=…, so that the token is in no server's log.
const token = new URLSearchParams(location.hash.slice(1)).get(TOKEN_KEY) ?? "";

function show(state, text) {
  document.body.dataset.state = state;
  $("call-label").textContent = state === "idle" ? "Call" : "Hang up";
  $("microphone").disabled = state !== "idle";
  $("status").textContent = text;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

async function begin() {
  problem("");
  levels.start();
  call = new Call(token);
  const mine = call;
  call.addEventListener("microphone", ({ detail }) => {
    levels.watch(detail, $("you-level"));
    listMicrophones();
  });
  call.addEventListener("sound", ({ detail }) => {
    $("agent").srcObject = detail;
    levels.watch(detail, $("agent-level"));
  });
  call.addEventListener("connected", () => {
    problem("");
    show("talking", "You are connected. Speak.");
  });
  call.addEventListener("dropped", () => show("calling", "The line dropped. Calling again…"));
  call.addEventListener("message", ({ detail }) => transcript.take(detail));
  call.addEventListener("ended", ({ detail }) => mine === call && ended(detail));
  show("calling", "Calling…");
  try {
    await call.begin($("microphone").value);
  } catch (error) {
    call.end();
    ended(error.message);
  }
}

function ended(reason) {
  call = null;
  levels.stop();
  transcript.close();
  show("idle", "Press the button and speak.");
  problem(reason);
}

async function listMicrophones() {
  const select = $("microphone");
  const chosen = select.value;
  const devices = await navigator.mediaDevices.enumerateDevices();
  const microphones = devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId !== "default");
  select.replaceChildren(
    new Option("Default", ""),
    ...microphones.map(({ label, deviceId }, index) => new Option(label || `Microphone ${index + 1}`, deviceId)),
  );
  select.value = microphones.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}

$("call").addEventListener("click", () => (call ? call.end() : begin()));
document.addEventListener("keydown", (event) => {
  if (event.code !== "Space" || event.repeat || event.target.closest("button, select, summary")) return;
  event.preventDefault();
  $("call").click();
});
addEventListener("pagehide", () => call?.end());
navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);
