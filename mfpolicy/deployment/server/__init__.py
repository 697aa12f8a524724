"""The policy server: observations in, action chunks out, over WebSocket and MessagePack."""
