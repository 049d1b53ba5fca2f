// A stranger's client of the scheduler. Usage: client.js HOST:PORT PROTO_FOLDER...
// Reads one question a line, {"check": NAME, ...}, and answers each with a line of what it saw; ../python/client.py answers the same.
'use strict';
const { createHash, randomBytes, randomUUID } = require('node:crypto');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { FileDescriptorProto } = require('protobufjs/ext/descriptor');

const [address, ...includeDirs] = process.argv.slice(2);
const reading = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
const load = (...files) => grpc.loadPackageDefinition(loader.loadSync(files, { ...reading, includeDirs }));
const { cluster, grpc: own } = load(
  'cluster/v1/jobs.proto', 'cluster/v1/checkpoints.proto', 'cluster/v1/workers.proto',
  'health/v1/health.proto', 'reflection/v1/reflection.proto', 'reflection/v1alpha/reflection.proto');

const credentials = grpc.credentials.createInsecure();
const channel = new grpc.Channel(address, credentials, {});
const client = (Service) => new Service(address, credentials, { channelOverride: channel });
const jobs = client(cluster.v1.JobService);
const checkpoints = client(cluster.v1.CheckpointService);
const chunkBytes = 1 << 20;

const metadata = (token, values = {}) => {
  const all = new grpc.Metadata();
  if (token) all.set('authorization', `Bearer ${token}`);
  for (const [key, value] of Object.entries(values)) all.set(key, value);
  return all;
};

// begin is given the callback that ends a call of one answer.
const answered = (begin) => new Promise((resolve) => {
  begin((error, reply) => resolve({ code: error ? error.code : 0, message: error ? error.details : '', reply }));
});

// What a call of many answers tells: each answer to see, then its end.
const collected = (call, see) => new Promise((resolve) => {
  call.on('data', see);
  call.on('error', () => {}); // the status tells of it too
  call.on('status', ({ code, details }) => resolve({ code, message: details }));
});

const written = (call, message) => new Promise((resolve) => { call.write(message, resolve); });

const chunkOf = (data) => ({ sha256: createHash('sha256').update(data).digest(), data });

// The beginning of a safetensors file whose one tensor is all the rest.
const header = (dataBytes) => {
  const json = JSON.stringify({ 'fc.weight': { dtype: 'F32', shape: [dataBytes / 4], data_offsets: [0, dataBytes] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, Buffer.from(json)]);
};

const announcement = (fileBytes) => ({ file: { name: 'stranger.safetensors', bytes: fileBytes, model: { name: 'lenet5' } } });

const weightsOf = (checkpoint) => ({ checkpoint_id: checkpoint, file: 'model.safetensors' });

// The call that watch leaves open for finish or cancel.
let leftOpen;

const checks = {
  async submit({ token, yaml, padding = 0, gzip }) {
    const stub = gzip ? new cluster.v1.JobService(address, credentials, { 'grpc.default_compression_algorithm': 2 }) : jobs;
    const request = { request_id: randomUUID(), yaml: `${yaml}\n# ${'x'.repeat(padding)}`, wait_for_capacity: true };
    const { reply, ...outcome } = await answered((done) => stub.SubmitJob(request, metadata(token), done));
    return { ...outcome, id: reply?.job.id, states: reply && [reply.job.state] };
  },

  async watch({ token, job, seconds }) {
    const states = [];
    const call = jobs.WatchJob({ job_id: job }, metadata(token), seconds ? { deadline: Date.now() + seconds * 1000 } : {});
    const first = new Promise((resolve) => { call.once('data', resolve); });
    const ended = collected(call, ({ event }) => event && states.push(event.to_state));
    leftOpen = { call, states, ended };
    await Promise.race([first, ended]);
    return { states: states.splice(0) };
  },

  async finish() {
    const outcome = await leftOpen.ended;
    return { ...outcome, states: leftOpen.states };
  },

  async cancel() {
    leftOpen.call.cancel();
    return checks.finish();
  },

  async putChunks({ job, attempt, rank, token, chunks }) {
    const identity = metadata(token, { 'cluster-job': job, 'cluster-attempt': `${attempt}`, 'cluster-rank': `${rank}` });
    const { reply, ...outcome } = await answered((done) => {
      const call = client(cluster.v1.AttemptService).PutChunks(identity, done);
      for (let i = 0; i < chunks; i++) call.write(chunkOf(Buffer.alloc(1000, i)));
      call.end();
    });
    return { ...outcome, bytes: reply?.stored_bytes };
  },

  async import({ token, bytes }) {
    const file = Buffer.concat([header(bytes), randomBytes(bytes)]);
    let call;
    const answer = answered((done) => { call = checkpoints.ImportCheckpoint(metadata(token), done); });
    await written(call, announcement(file.length));
    for (let at = 0; at < file.length; at += chunkBytes) await written(call, { chunk: chunkOf(file.subarray(at, at + chunkBytes)) });
    call.end();
    const { reply, ...outcome } = await answer;
    return { ...outcome, id: reply?.checkpoint.id, bytes: file.length, sha256: createHash('sha256').update(file).digest('hex') };
  },

  async download({ token, checkpoint }) {
    const digest = createHash('sha256');
    let bytes = 0;
    const outcome = await collected(checkpoints.DownloadFile(weightsOf(checkpoint), metadata(token)), ({ data }) => {
      digest.update(data);
      bytes += data.length;
    });
    return { ...outcome, bytes, sha256: digest.digest('hex') };
  },

  // Announces twice what it sends, and then sends nothing more.
  async importHalf({ token, bytes }) {
    const call = checkpoints.ImportCheckpoint(metadata(token), () => {});
    await written(call, announcement(2 * bytes));
    await written(call, { chunk: chunkOf(header(2 * bytes)) });
    for (let sent = 0; sent < bytes; sent += chunkBytes) await written(call, { chunk: chunkOf(randomBytes(chunkBytes)) });
    return {};
  },

  async downloadBeginning({ token, checkpoint }) {
    const call = checkpoints.DownloadFile(weightsOf(checkpoint), metadata(token));
    return Promise.race([
      collected(call, () => {}),
      new Promise((resolve) => {
        call.once('data', ({ data }) => {
          call.pause();
          resolve({ bytes: data.length });
        });
      }),
    ]);
  },

  async unknown({ path }) {
    const bytes = { path, requestStream: false, responseStream: false, requestSerialize: (v) => v, responseDeserialize: (v) => v };
    const Stub = grpc.makeGenericClientConstructor({ Unary: bytes });
    return answered((done) => client(Stub).Unary(Buffer.alloc(0), done));
  },

  async health({ service }) {
    const { reply, ...outcome } = await answered((done) => client(own.health.v1.Health).Check({ service }, done));
    return { ...outcome, states: reply && [reply.status] };
  },

  // As grpcurl does: learns from the server what it offers, each question after the answer to the last, and calls a method by that.
  async reflect({ version, token, job }) {
    const call = client(own.reflection[version].ServerReflection).ServerReflectionInfo();
    const waiting = [];
    const ended = collected(call, (answer) => waiting.shift()(answer));
    const ask = (question) => Promise.race([
      new Promise((resolve) => {
        waiting.push(resolve);
        call.write(question);
      }),
      ended.then(({ code, message }) => { throw new Error(`${code}: ${message}`); }),
    ]);
    const services = (await ask({ list_services: '*' })).list_services_response.service.map(({ name }) => name);
    const files = (await ask({ file_containing_symbol: 'cluster.v1.JobService' })).file_descriptor_response.file_descriptor_proto;
    const named = (await ask({ file_by_filename: 'cluster/v1/access.proto' })).file_descriptor_response.file_descriptor_proto;
    const unknown = (await ask({ file_containing_symbol: 'cluster.v1.NoSuchService' })).error_response.error_code;
    call.end();
    const outcome = await ended;

    const set = { file: files.map((file) => FileDescriptorProto.decode(file)) };
    const learnt = grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromObject(set, reading));
    const { reply } = await answered((done) => client(learnt.cluster.v1.JobService).GetJob({ job_id: job }, metadata(token), done));
    const base64 = (protos) => protos.map((proto) => proto.toString('base64'));
    return { ...outcome, services, files: base64(files), named: base64(named), unknown, id: reply?.job.id };
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { check, ...question } = JSON.parse(line);
    let seen;
    try {
      seen = await checks[check](question);
    } catch (error) {
      seen = { thrown: error.stack };
    }
    process.stdout.write(`${JSON.stringify(seen)}\n`);
  }
  process.exit(0);
})();
