// An echo server of Node's `ws`: PORT [deflate]. NODE_PATH leads to it.
const { WebSocketServer } = require('ws');

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(port),
  maxPayload: 16 << 20,
  perMessageDeflate: mode === 'deflate' ? { threshold: 0 } : false,
});
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
