"use strict";
// A cloud and some lines, drawn point by point with a depth buffer: no graphics card is needed.

const BACKGROUND = 0xff1f1814; // little endian: alpha, blue, green, red
const packed = (r, g, b) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;

class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.positions = new Float32Array(0); // x, y, z of each point, metres, world frame
    this.colors = new Uint32Array(0);
    this.lines = []; // [from, to, color]
    this.size = 4;
    this.showLines = true;
    this.home = { yaw: 0.8, pitch: 0.5, distance: 2, target: [0, 0, 0] };
    this.reset();
    this.listen();
  }

  // Looks at the box low…high; from where the eye is, if that is known.
  lookAt(low, high, eye) {
    const target = low.map((value, axis) => (value + high[axis]) / 2);
    const radius = Math.max(1e-6, Math.hypot(...low.map((value, axis) => high[axis] - value)) / 2);
    const home = { yaw: 0.8, pitch: 0.5, distance: 2.1 * radius, target };
    if (eye !== null) {
      const way = eye.map((value, axis) => value - target[axis]);
      const flat = Math.hypot(way[0], way[1]);
      if (flat > 1e-6) home.yaw = Math.atan2(way[1], way[0]);
      home.pitch = Math.max(-1.5, Math.min(1.5, Math.atan2(way[2], flat)));
    }
    this.home = home;
    this.reset();
  }

  reset() {
    this.eye = { ...this.home, target: [...this.home.target] };
  }

  axes() {
    const { yaw, pitch } = this.eye;
    const away = [Math.cos(pitch) * Math.cos(yaw), Math.cos(pitch) * Math.sin(yaw), Math.sin(pitch)];
    const right = [-Math.sin(yaw), Math.cos(yaw), 0];
    const up = [-Math.sin(pitch) * Math.cos(yaw), -Math.sin(pitch) * Math.sin(yaw), Math.cos(pitch)];
    return { right, up, away };
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height || !this.image) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.depth = new Float32Array(width * height);
    }
    this.pixels.fill(BACKGROUND);
    this.depth.fill(Infinity);
    const { right, up, away } = this.axes();
    const { target, distance } = this.eye;
    const focal = 1.1 * Math.min(width, height);
    const near = distance * 1e-3;
    this.project = (x, y, z) => {
      const dx = x - target[0], dy = y - target[1], dz = z - target[2];
      const deep = distance - (dx * away[0] + dy * away[1] + dz * away[2]);
      if (!(deep > near)) return null;
      const scale = focal / deep;
      return [
        width / 2 + scale * (dx * right[0] + dy * right[1] + dz * right[2]),
        height / 2 - scale * (dx * up[0] + dy * up[1] + dz * up[2]),
        deep,
      ];
    };
    const half = (this.size * ratio * distance) / 2;
    for (let i = 0; i < this.colors.length; i++) {
      const at = this.project(
        this.positions[3 * i], this.positions[3 * i + 1], this.positions[3 * i + 2]);
      if (at !== null) this.square(at, Math.min(40 * ratio, half / at[2]), this.colors[i]);
    }
    if (this.showLines) for (const [from, to, color] of this.lines) this.line(from, to, color);
    this.context.putImageData(this.image, 0, 0);
  }

  square([x, y, deep], half, color) {
    const { width, height } = this.canvas;
    const left = Math.max(0, Math.round(x - half)), top = Math.max(0, Math.round(y - half));
    const stopX = Math.min(width, Math.max(Math.round(x + half), Math.round(x - half) + 1));
    const stopY = Math.min(height, Math.max(Math.round(y + half), Math.round(y - half) + 1));
    for (let row = top; row < stopY; row++) {
      for (let index = row * width + left, end = row * width + stopX; index < end; index++) {
        if (deep < this.depth[index]) {
          this.depth[index] = deep;
          this.pixels[index] = color;
        }
      }
    }
  }

  // In pieces, of which those behind the eye are left out.
  line(from, to, color) {
    const pieces = 64;
    let last = null;
    for (let piece = 0; piece <= pieces; piece++) {
      const t = piece / pieces;
      const at = this.project(...from.map((value, axis) => value + t * (to[axis] - value)));
      if (at !== null && last !== null) this.piece(last, at, color);
      last = at;
    }
  }

  piece(from, to, color) {
    const { width, height } = this.canvas;
    const outside = (at) => at[0] < 0 || at[1] < 0 || at[0] >= width || at[1] >= height;
    if (outside(from) && outside(to)) return;
    const count = Math.min(4096, Math.ceil(Math.max(
      Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])))) || 1;
    for (let i = 0; i <= count; i++) {
      const t = i / count;
      const at = from.map((value, axis) => value + t * (to[axis] - value));
      if (outside(at)) continue;
      const index = Math.floor(at[1]) * width + Math.floor(at[0]);
      if (at[2] < this.depth[index]) this.pixels[index] = color;
    }
  }

  listen() {
    const { canvas } = this;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
    });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("pointercancel", () => { last = null; });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointermove", (event) => {
      if (last === null) return;
      const dx = event.clientX - last[0], dy = event.clientY - last[1];
      last = [event.clientX, event.clientY];
      if (event.shiftKey || event.buttons & 2) this.move(dx, dy);
      else this.turn(dx, dy);
      this.draw();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY * 1e-3)));
      const { distance } = this.home;
      this.eye.distance = Math.max(
        1e-3 * distance, Math.min(1e3 * distance, factor * this.eye.distance));
      this.draw();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.reset(); this.draw(); });
  }

  turn(dx, dy) {
    this.eye.yaw -= dx * 0.008;
    this.eye.pitch = Math.max(-1.55, Math.min(1.55, this.eye.pitch + dy * 0.008));
  }

  move(dx, dy) {
    const { right, up } = this.axes();
    const scale = this.eye.distance / (1.1 * Math.min(
      this.canvas.clientWidth, this.canvas.clientHeight));
    this.eye.target = this.eye.target.map(
      (value, axis) => value - scale * (dx * right[axis] - dy * up[axis]));
  }
}
