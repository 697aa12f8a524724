"use strict";
// What is shown, and what its buttons do. Text of a dataset only ever becomes textContent.

const byId = (id) => document.getElementById(id);
const blocks = (kind) => [...document.querySelectorAll(`script.${kind}`)];
const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

function viridis(t) { // five of its colors, and what lies between them
  const stops = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const at = Math.max(0, Math.min(3.9999, 4 * t));
  const [low, high] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  return packed(...low.map((value, i) => Math.round(value + (at % 1) * (high[i] - value))));
}

class Viewer {
  constructor() {
    this.about = JSON.parse(blocks("dataset")[0].textContent);
    this.texts = blocks("episode");
    this.scene = new Scene(byId("scene"));
    this.state = new Curves(byId("state"), byId("state-names"), (step) => this.goTo(step));
    this.action = new Curves(byId("action"), byId("action-names"), (step) => this.goTo(step));
    this.playing = false;
    byId("name").textContent = this.about.name;
    const rate = this.about.rate_hz === null ? null : `${this.about.rate_hz} Hz`;
    const { episodes } = this.about;
    byId("about").textContent = [
      this.about.task, this.about.expert, rate, `${episodes} episode${episodes === 1 ? "" : "s"}`,
    ].filter((part) => part !== null).join(" · ");
    this.listen();
    const asked = new URLSearchParams(location.hash.slice(1));
    const names = this.texts.map((text) => text.dataset.index);
    names.forEach((name, place) => byId("episode").add(new Option(name, String(place))));
    this.open(Math.max(0, names.indexOf(asked.get("episode"))));
    const modes = [...byId("color").options].filter((option) => !option.disabled);
    if (modes.some((option) => option.value === asked.get("color"))) {
      byId("color").value = asked.get("color");
    }
    this.goTo(Number.parseInt(asked.get("step") ?? "0", 10) || 0);
  }

  open(place) {
    byId("episode").value = String(place);
    const episode = JSON.parse(this.texts[place].textContent);
    this.episode = episode;
    this.grid = new Uint16Array(bytes(episode.cloud).buffer);
    this.color = episode.color === null ? null : bytes(episode.color);
    this.count = episode.steps.length;
    this.state.show(new Float32Array(bytes(episode.state).buffer), this.count);
    this.action.show(new Float32Array(bytes(episode.action).buffer), this.count);
    byId("step").max = String(this.count - 1);
    byId("color").options[0].disabled = this.color === null;
    if (this.color === null) byId("color").value = "height";
    byId("image").hidden = episode.images === null;
    const high = episode.low.map((value, axis) => value + episode.extent[axis]);
    this.scene.lookAt(episode.low, high, this.about.eye);
    this.scene.lines = this.lines(episode.low, high);
  }

  // The crop box where it is not much larger than what it holds, and the world's axes.
  lines(low, high) {
    const lines = [];
    const size = Math.max(...high.map((value, axis) => value - low[axis]));
    const { box } = this.about;
    if (box !== null && [0, 1, 2].every((axis) => box[axis + 3] - box[axis] <= 4 * size)) {
      const corner = (index) => [0, 1, 2].map((axis) => box[axis + (index & (1 << axis) ? 3 : 0)]);
      for (let index = 0; index < 8; index++) {
        for (const bit of [1, 2, 4]) {
          if (!(index & bit)) lines.push([corner(index), corner(index | bit), packed(70, 80, 96)]);
        }
      }
    }
    const colors = [packed(230, 80, 70), packed(90, 200, 90), packed(90, 140, 255)];
    colors.forEach((color, axis) => {
      const end = [0, 0, 0];
      end[axis] = size / 5;
      lines.push([[0, 0, 0], end, color]);
    });
    return lines;
  }

  goTo(step) {
    this.step = Math.max(0, Math.min(this.count - 1, step));
    byId("step").value = String(this.step);
    const { episode } = this;
    const rate = this.about.rate_hz;
    const number = episode.steps[this.step];
    const parts = [`step ${number} of ${episode.length}`];
    if (rate !== null && rate > 0) parts.push(`${(number / rate).toFixed(2)} s`);
    if (episode.seed !== null) parts.push(`seed ${episode.seed}`);
    if (episode.success !== null) parts.push(episode.success ? "success" : "failure");
    byId("where").textContent = parts.join(" · ");
    if (episode.images !== null) {
      byId("image").src = `data:image/jpeg;base64,${episode.images[this.step]}`;
    }
    this.draw();
  }

  draw() {
    const { episode, grid, color } = this;
    const mode = byId("color").value;
    const first = this.step * episode.points;
    const positions = new Float32Array(3 * episode.points);
    const colors = new Uint32Array(episode.points);
    let count = 0;
    for (let point = 0; point < episode.points; point++) {
      const from = 3 * (first + point);
      if (grid[from] === episode.absent) continue;
      for (let axis = 0; axis < 3; axis++) {
        const share = grid[from + axis] / episode.grid;
        positions[3 * count + axis] = episode.low[axis] + share * episode.extent[axis];
      }
      if (mode === "stored" && color !== null) {
        colors[count] = packed(color[from], color[from + 1], color[from + 2]);
      } else {
        colors[count] = viridis(
          mode === "order" ? 1 - point / episode.points : grid[from + 2] / episode.grid);
      }
      count += 1;
    }
    this.scene.positions = positions;
    this.scene.colors = colors.subarray(0, count);
    this.scene.draw();
    this.state.draw(this.step);
    this.action.draw(this.step);
  }

  play(playing) {
    this.playing = playing;
    byId("play").textContent = playing ? "pause" : "play";
    if (!playing) return;
    if (this.step >= this.count - 1) this.goTo(0);
    const begun = performance.now(), from = this.step;
    const { steps } = this.episode;
    const every = steps.length > 1 ? steps[1] - steps[0] : 1;
    const rate = (this.about.rate_hz > 0 ? this.about.rate_hz : 20) / every;
    const frame = (now) => {
      if (!this.playing) return;
      const step = from + Math.floor((Math.max(0, now - begun) / 1000) * rate);
      if (step !== this.step) this.goTo(step);
      if (step >= this.count - 1) this.play(false);
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  listen() {
    const stopAt = (step) => { this.play(false); this.goTo(step); };
    byId("step").addEventListener("input", (event) => stopAt(Number(event.target.value)));
    byId("play").addEventListener("click", () => this.play(!this.playing));
    byId("episode").addEventListener("change", (event) => {
      this.play(false);
      this.open(Number(event.target.value));
      this.goTo(0);
    });
    byId("color").addEventListener("change", () => this.draw());
    byId("size").addEventListener("input", (event) => {
      this.scene.size = Number(event.target.value);
      this.scene.draw();
    });
    byId("lines").addEventListener("change", (event) => {
      this.scene.showLines = event.target.checked;
      this.scene.draw();
    });
    window.addEventListener("resize", () => this.draw());
    window.addEventListener("keydown", (event) => {
      if (event.target.closest("input, select, button")) return;
      if (event.key === " ") this.play(!this.playing);
      else if (event.key === "ArrowRight") stopAt(this.step + 1);
      else if (event.key === "ArrowLeft") stopAt(this.step - 1);
      else return;
      event.preventDefault();
    });
  }
}

const viewer = new Viewer();
