"use strict";
// The channels of states or actions over the steps, with a cursor that can be pulled.

const channelColor = (index) => `hsl(${(index * 137.508 + 205) % 360} 70% 65%)`;

class Curves {
  constructor(canvas, names, onStep) {
    this.canvas = canvas;
    this.names = names;
    this.onStep = onStep;
    this.values = new Float32Array(0); // (steps, channels)
    this.steps = this.channels = 0;
    this.buttons = [];
    const pick = (event) => {
      if (event.buttons & 1 && this.steps > 0) {
        const { left, width } = canvas.getBoundingClientRect();
        const share = (event.clientX - left - 4) / Math.max(1, width - 8);
        const step = Math.round(share * (this.steps - 1));
        this.onStep(Math.max(0, Math.min(this.steps - 1, step)));
      }
    };
    canvas.addEventListener("pointerdown", pick);
    canvas.addEventListener("pointermove", pick);
  }

  show(values, steps) {
    this.values = values;
    this.steps = steps;
    this.channels = Math.round(values.length / steps);
    this.hidden = new Set();
    this.buttons = Array.from({ length: this.channels }, (_, channel) => {
      const button = document.createElement("button");
      button.type = "button";
      button.style.borderLeftColor = channelColor(channel);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(channel)) this.hidden.add(channel);
        button.classList.toggle("off", this.hidden.has(channel));
        this.draw(this.step);
      });
      return button;
    });
    this.names.replaceChildren(...this.buttons);
  }

  range() {
    let low = Infinity, high = -Infinity;
    this.values.forEach((value, index) => {
      if (Number.isFinite(value) && !this.hidden.has(index % this.channels)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    });
    if (!(low <= high)) return [-1, 1];
    return low < high ? [low, high] : [low - 1, high + 1];
  }

  draw(step) {
    this.step = step;
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [low, high] = this.range();
    const x = (row) => 4 + ((width - 8) * row) / Math.max(1, this.steps - 1);
    const y = (value) => height - 6 - ((height - 12) * (value - low)) / (high - low);
    context.fillStyle = "#1a2029";
    context.fillRect(0, 0, width, height);
    if (low < 0 && high > 0) {
      context.fillStyle = "#333b47";
      context.fillRect(0, y(0), width, 1);
    }
    for (let channel = 0; channel < this.channels; channel++) {
      if (!this.hidden.has(channel)) this.curve(context, channel, x, y);
    }
    context.fillStyle = "#d7dde6";
    context.fillRect(x(step) - 0.5, 0, 1, height);
    context.fillStyle = "#8a95a5";
    context.font = "11px system-ui, sans-serif";
    context.fillText(high.toPrecision(3), 8, 12);
    context.fillText(low.toPrecision(3), 8, height - 4);
    this.buttons.forEach((button, channel) => {
      const value = this.values[step * this.channels + channel];
      button.textContent = `${channel}: ${value.toPrecision(3)}`;
    });
  }

  curve(context, channel, x, y) {
    context.strokeStyle = channelColor(channel);
    context.lineWidth = 1.5;
    context.beginPath();
    let drawing = false;
    for (let row = 0; row < this.steps; row++) {
      const value = this.values[row * this.channels + channel];
      if (!Number.isFinite(value)) drawing = false;
      else if (drawing) context.lineTo(x(row), y(value));
      else { context.moveTo(x(row), y(value)); drawing = true; }
    }
    context.stroke();
  }
}
