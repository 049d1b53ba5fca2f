// What client and server share: the protos, and the answers that every implementation of the service gives.
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const options = { keepCase: true, longs: Number, enums: Number, defaults: true, oneofs: true };

function load(file, ...folders) {
  return grpc.loadPackageDefinition(loader.loadSync(file, { ...options, includeDirs: folders }));
}

const limits = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

module.exports = {
  grpc,
  limits,
  load,
  echo: load('echo.proto', path.join(__dirname, '..', 'Protos')).polyfill.v1,
  behaviour: { REPLY: 0, FAIL: 1, THROW: 2, WAIT: 3 },
  unusualMessage: 'naïve – 失敗 100% "why"\nsecond line',
  largeSize: 64 * 1024 * 1024,
};
