// A stranger's client. Usage: client.js HOST:PORT POLYFILL_PROTOS; prints what it saw of each check as one JSON object.
'use strict';
const { grpc, limits, load, echo, behaviour, largeSize } = require('./echo');
const { createHash } = require('node:crypto');

const [address, polyfillProtos] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();
const client = new echo.Echo(address, credentials, limits);

const unary = (stub, request, metadata = new grpc.Metadata(), options = {}) => new Promise((resolve) => {
  const seen = {};
  const call = stub.Unary(request, metadata, options, (error, reply) => {
    Object.assign(seen, { code: error ? error.code : 0, message: error ? error.details : '', reply });
    if (error) seen.reason = error.metadata.get('x-reason')[0];
  });
  call.on('metadata', (initial) => { seen.initial = initial; });
  call.on('status', (status) => { seen.trailing = status.metadata; setImmediate(() => resolve(seen)); });
});

const stream = (call) => new Promise((resolve) => {
  const texts = [];
  call.on('data', (reply) => texts.push(reply.text));
  call.on('error', () => {});
  call.on('status', (status) => resolve({ code: status.code, texts }));
});

const checks = {
  async unary() { return { text: (await unary(client, { text: 'hello' })).reply.text }; },

  collect: () => new Promise((resolve) => {
    const call = client.Collect((error, reply) => resolve(error ? { code: error.code } : { text: reply.text, count: reply.count }));
    for (let i = 0; i < 10; i++) call.write({ text: `${i}` });
    call.end();
  }),

  async expand() { return stream(client.Expand({ text: 'n', count: 5 })); },

  async chat() {
    const call = client.Chat();
    // The next message leaves only after the answer to the last: both directions must flow at once.
    let sent = 0;
    call.on('data', () => (++sent < 5 ? call.write({ text: `c${sent}` }) : call.end()));
    call.write({ text: 'c0' });
    return stream(call);
  },

  async deadline() {
    return unary(client, { behaviour: behaviour.WAIT }, undefined, { deadline: Date.now() + 1000 });
  },

  async cancel() {
    const call = client.Expand({ text: 'n', count: 1, behaviour: behaviour.WAIT });
    call.once('data', () => call.cancel());
    return stream(call);
  },

  async failure() { return unary(client, { behaviour: behaviour.FAIL }); },

  async throws() { return unary(client, { behaviour: behaviour.THROW }); },

  async metadata() {
    const metadata = new grpc.Metadata();
    metadata.set('x-text', 'plain');
    metadata.set('x-bytes-bin', Buffer.from([0, 255, 1]));
    const seen = await unary(client, {}, metadata);
    return {
      initial: seen.initial.get('x-initial')[0], initialBytes: seen.initial.get('x-initial-bin')[0].toString('hex'),
      trailing: seen.trailing.get('x-trailing')[0], trailingBytes: seen.trailing.get('x-trailing-bin')[0].toString('hex'),
    };
  },

  async large() {
    const payload = Buffer.alloc(largeSize, 'polyfill');
    const { reply } = await unary(client, { payload });
    const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
    return { size: reply.payload.length, same: digest(reply.payload) === digest(payload) };
  },

  async gzip() {
    const gzip = { ...limits, 'grpc.default_compression_algorithm': 2 };
    const sent = await unary(new echo.Echo(address, credentials, gzip), { text: 'a'.repeat(10000) });
    const received = await unary(new echo.Zip(address, credentials, limits), { text: 'b'.repeat(10000) });
    return { requestEncoding: sent.reply.request_encoding, sent: sent.reply.text.length, received: received.reply.text.length };
  },

  async unknownMethod() {
    const call = { path: '/polyfill.v1.Echo/Missing', requestStream: false, responseStream: false, requestSerialize: (v) => v, responseDeserialize: (v) => v };
    const Stub = grpc.makeGenericClientConstructor({ Unary: call });
    return unary(new Stub(address, credentials), Buffer.alloc(0));
  },

  health: () => new Promise((resolve) => {
    const { Health } = load('grpc/health/v1/health.proto', polyfillProtos).grpc.health.v1;
    const health = new Health(address, credentials);
    health.Check({ service: '' }, (_, known) => health.Check({ service: 'nobody' }, (error) => resolve({ status: known.status, unknown: error.code })));
  }),

  reflection: () => new Promise((resolve) => {
    const { ServerReflection } = load('grpc/reflection/v1/reflection.proto', polyfillProtos).grpc.reflection.v1;
    const call = new ServerReflection(address, credentials).ServerReflectionInfo();
    const seen = {};
    call.on('data', (answer) => {
      if (answer.list_services_response) {
        seen.services = answer.list_services_response.service.map((service) => service.name);
        call.write({ file_containing_symbol: 'polyfill.v1.Echo' });
      } else if (answer.file_descriptor_response) {
        seen.files = answer.file_descriptor_response.file_descriptor_proto.length;
        call.write({ all_extension_numbers_of_type: 'google.protobuf.MethodOptions' });
      } else if (answer.all_extension_numbers_response) {
        seen.extensions = answer.all_extension_numbers_response.extension_number;
        call.write({ file_by_filename: 'missing.proto' });
      } else {
        seen.missing = answer.error_response.error_code;
        call.end();
      }
    });
    call.on('status', (status) => resolve({ ...seen, code: status.code }));
    call.write({ list_services: '*' });
  }),
};

(async () => {
  const results = {};
  for (const [name, check] of Object.entries(checks)) {
    const seen = await check();
    delete seen.reply; // may be large
    results[name] = seen;
  }
  process.stdout.write(JSON.stringify(results));
  process.exit(0);
})();
