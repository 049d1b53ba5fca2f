// A stranger's server. Prints its port, then "waiting" and "cancelled" as handlers that were asked to wait do so.
'use strict';
const { grpc, limits, echo, behaviour, unusualMessage } = require('./echo');

const say = (line) => process.stdout.write(`${line}\n`);

function exchangeMetadata(call) {
  const [text] = call.metadata.get('x-text');
  if (text === undefined) return undefined;
  const [bytes] = call.metadata.get('x-bytes-bin');
  const initial = new grpc.Metadata();
  initial.set('x-initial', text);
  initial.set('x-initial-bin', bytes);
  call.sendMetadata(initial);
  const trailing = new grpc.Metadata();
  trailing.set('x-trailing', text);
  trailing.set('x-trailing-bin', bytes);
  return trailing;
}

function failure(request) {
  const metadata = new grpc.Metadata();
  if (request.behaviour === behaviour.FAIL) {
    metadata.set('x-reason', 'asked to');
    return { code: grpc.status.NOT_FOUND, details: unusualMessage, metadata };
  }
  return request.behaviour === behaviour.THROW ? { code: grpc.status.UNKNOWN, details: 'Exception was thrown by handler.', metadata } : null;
}

function wait(call) {
  call.on('cancelled', () => say('cancelled'));
  say('waiting');
}

const reply = (request) => ({ text: request.text, payload: request.payload, count: request.payload.length });

const server = new grpc.Server(limits);
server.addService(echo.Echo.service, {
  Unary(call, done) {
    const trailing = exchangeMetadata(call);
    if (call.request.behaviour === behaviour.WAIT) wait(call);
    else done(failure(call.request), reply(call.request), trailing);
  },
  Collect(call, done) {
    const texts = [];
    call.on('data', (request) => texts.push(request.text));
    call.on('end', () => done(null, { text: texts.join(' '), count: texts.length }));
  },
  Expand(call) {
    for (let i = 0; i < call.request.count; i++) call.write({ text: `${call.request.text}${i}` });
    const error = failure(call.request);
    if (call.request.behaviour === behaviour.WAIT) wait(call);
    else if (error) call.emit('error', error);
    else call.end();
  },
  Chat(call) {
    call.on('data', (request) => call.write(reply(request)));
    call.on('end', () => call.end());
  },
});
server.addService(echo.Zip.service, { Unary: (call, done) => done(null, reply(call.request)) });
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  say(port);
});
process.stdin.on('end', () => process.exit(0)).resume(); // ends with the test that started it
