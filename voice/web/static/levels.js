// Level meters of sound streams.

const FLOOR_DB = -60;

export class Levels {
  #context = null;
  #meters = new Map();
  #frame = 0;

  /** Begin; called from a key press or click, without which browsers keep audio off. */
  start() {
    this.#context = new AudioContext();
    this.#draw();
  }

  /** Show the level of `stream` in `meter` from now on. */
  watch(stream, meter) {
    if (!this.#context) return;
    this.#meters.get(meter)?.source.disconnect();
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    const source = this.#context.createMediaStreamSource(stream);
    source.connect(analyser);
    this.#meters.set(meter, { source, analyser, samples: new Float32Array(analyser.fftSize) });
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    for (const meter of this.#meters.keys()) meter.value = 0;
    this.#meters.clear();
    this.#context?.close();
    this.#context = null;
  }

  #draw() {
    for (const [meter, { analyser, samples }] of this.#meters) {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const level = 1 - (10 * Math.log10(power + 1e-12)) / FLOOR_DB;
      meter.value = Math.max(0, Math.min(1, level));
    }
    this.#frame = requestAnimationFrame(() => this.#draw());
  }
}
