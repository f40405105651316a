// Faults for load tests of k6, with the interface of xk6-disruptor and without an extension.
//
//   import { ServiceDisruptor } from './chaos.js';
//
// `chaosctl serve` does the work, with the kubeconfig and the rights of whoever started it. Variables of k6 (`-e NAME=value`):
// CHAOS_SERVE, where it listens (default 127.0.0.1:7420), and CHAOS_SERVE_TOKEN, if it asks for one.
//
// As there, a number as a delay is milliseconds, and as a duration seconds; a string has its unit ("100ms", "1m30s"). A
// call returns when the fault has ended; when k6 is gone, it ends at once.

import grpc from 'k6/net/grpc';

const ADDRESS = __ENV.CHAOS_SERVE || '127.0.0.1:7420';
const TOKEN = __ENV.CHAOS_SERVE_TOKEN || '';
const SERVICE = 'chaos.serve.v1.ChaosService/';
// Beyond the duration: to find the targets, to put the fault in place, and to let requests finish.
const PATIENCE_SECONDS = 120;
// What is in no list of labels, so that "without it" is everything.
const NOBODY = 'chaos.dev/nobody';

const client = new grpc.Client();
let connected = false;

function connect() {
  if (connected) {
    return;
  }
  try {
    client.connect(ADDRESS, { plaintext: true, reflect: true, timeout: '5s' });
  } catch (error) {
    const remedy = 'start it there, or say where it is with `k6 run -e CHAOS_SERVE=HOST:PORT`';
    throw new Error(`chaosctl serve does not answer at ${ADDRESS} (${error.message || error}): ${remedy}`);
  }
  connected = true;
}

function call(method, request, seconds) {
  connect();
  const params = { timeout: `${seconds}s`, metadata: {} };
  if (TOKEN) {
    params.metadata.authorization = `Bearer ${TOKEN}`;
  }
  const response = client.invoke(SERVICE + method, request, params);
  if (response.status !== grpc.StatusOK) {
    const error = response.error || {};
    throw new Error(error.message || `chaosctl serve at ${ADDRESS} answered ${response.status}`);
  }
  return response.message || {};
}

// Keys that a user may write, and what they are in an experiment; what is not among them is a mistake.
function translate(what, given, keys) {
  if (given !== undefined && (given === null || typeof given !== 'object' || Array.isArray(given))) {
    throw new Error(`${what} is to be an object, not ${JSON.stringify(given)}`);
  }
  const translated = {};
  for (const key of Object.keys(given || {})) {
    if (!(key in keys)) {
      throw new Error(`unknown field ${key} of ${what}: it has ${Object.keys(keys).join(', ')}`);
    }
    const value = given[key];
    if (keys[key] === null || value === undefined || value === null || value === '') {
      continue;
    }
    const [name, convert] = [].concat(keys[key]);
    translated[name] = convert ? convert(value, key) : value;
  }
  return translated;
}

function milliseconds(value, key) {
  if (typeof value === 'number') {
    return `${value}ms`;
  }
  // Theirs reads it as Go does, where no time needs no unit.
  return text(value, key) === '0' ? '0ms' : value;
}

function text(value, key) {
  if (typeof value !== 'string') {
    throw new Error(`${key} is to be a string, not ${JSON.stringify(value)}`);
  }
  return value;
}

function list(value) {
  const values = Array.isArray(value) ? value : String(value).split(',');
  return values.map((each) => String(each).trim()).filter((each) => each !== '');
}

// `{ name: value }`, or texts as on the command line, in whose values a comma may stand.
function headers(value) {
  if (Array.isArray(value)) {
    return value.map(String);
  }
  if (typeof value === 'object') {
    return Object.entries(value).map(([name, text]) => `${name}: ${text}`);
  }
  return [String(value)];
}

function seconds(duration) {
  if (typeof duration === 'number') {
    return duration;
  }
  const units = { ns: 1e-9, us: 1e-6, 'µs': 1e-6, ms: 0.001, s: 1, m: 60, h: 3600 };
  let sum = 0;
  let rest = String(duration);
  for (const [all, number, unit] of rest.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(number) * units[unit];
    rest = rest.replace(all, '');
  }
  if (rest !== '' || sum <= 0) {
    throw new Error(`duration ${JSON.stringify(duration)} is none: give seconds, or a string such as "30s"`);
  }
  return sum;
}

const HTTP = {
  averageDelay: ['delay', milliseconds],
  delayVariation: ['delay-variation', milliseconds],
  delayRate: 'delay-rate',
  errorRate: 'error-rate',
  errorCode: 'error-code',
  errorBody: 'error-body',
  errorHeader: ['error-header', headers],
  errorFirst: 'error-first',
  exclude: ['exclude', list],
  match: ['match', list],
  matchHeader: ['match-header', headers],
  abort: 'abort',
  throttle: 'throttle',
  headerSet: ['header-set', headers],
  headerRemove: ['header-remove', list],
  requestHeaderSet: ['request-header-set', headers],
  requestHeaderRemove: ['request-header-remove', list],
  truncateBody: 'truncate-body',
  port: null,
};

const GRPC = {
  averageDelay: ['delay', milliseconds],
  delayVariation: ['delay-variation', milliseconds],
  delayRate: 'delay-rate',
  errorRate: 'error-rate',
  errorFirst: 'error-first',
  statusCode: 'status-code',
  statusMessage: 'status-message',
  exclude: ['exclude', list],
  matchMetadata: ['match-metadata', headers],
  port: null,
};

// How the agent reaches requests is its own affair here.
const OPTIONS = {
  proxyPort: null,
  iface: null,
  keepExisting: 'keep-existing',
  drain: ['drain', milliseconds],
  includeLoopback: 'include-loopback',
  localSource: 'local-source',
};

// Theirs drops what comes in at a port; ours is any fault of packets, as a rule of an experiment file, or several.
function networkRules(fault, ports) {
  const given = fault === undefined ? {} : fault;
  if (Array.isArray(given)) {
    return given;
  }
  const { port, protocol } = given || {};
  if (port === undefined && protocol === undefined && Object.keys(given || {}).length > 0) {
    return [given];
  }
  translate('a network fault of a port', given, { port: null, protocol: null });
  const filter = { direction: 'ingress' };
  if (protocol) {
    filter.proto = text(protocol, 'protocol').toLowerCase();
  }
  if (port) {
    filter[ports] = [port];
  }
  return [{ loss: { percent: 100 }, filter }];
}

function share(value) {
  return `${value * 100}%`;
}

// What a fork of theirs shapes, which is what the targets send; a share is a number up to 1.
const SHAPING = {
  delay: ['latency', milliseconds],
  jitter: ['jitter', milliseconds],
  loss: ['loss', share],
  corrupt: ['corrupt', share],
  duplicate: ['duplicate', share],
  rate: ['rate', text],
  interface: 'interface',
};

function shapingRules(fault) {
  const given = translate('a network shaping fault', fault, SHAPING);
  const rules = [];
  if (given.latency !== undefined) {
    const delay = { latency: given.latency };
    rules.push({ delay: given.jitter === undefined ? delay : Object.assign(delay, { jitter: given.jitter }) });
  }
  for (const kind of ['loss', 'corrupt', 'duplicate']) {
    if (given[kind] !== undefined) {
      rules.push({ [kind]: { percent: given[kind] } });
    }
  }
  if (given.rate !== undefined) {
    rules.push({ rate: { rate: given.rate } });
  }
  if (rules.length === 0) {
    throw new Error('a network shaping fault needs one of delay, loss, corrupt, duplicate and rate');
  }
  return { rules, where: given.interface === undefined ? {} : { interface: given.interface } };
}

function demand(given, most, sentence) {
  if (given.length < most) {
    throw new Error(sentence);
  }
}

class Disruptor {
  // Where it is, in words of an experiment file; and the port of requests, where nobody says.
  constructor(where, port, ports) {
    this.where = where;
    this.port = port;
    this.ports = ports;
  }

  // Names of the pods that are meant now.
  targets() {
    const answer = call('Select', { experiment: this.where }, 30);
    return answer.targets || [];
  }

  injectHTTPFaults(fault, duration, options) {
    demand(arguments, 2, 'HTTPFault and duration are required');
    const http = translate('an HTTP fault', fault, HTTP);
    return this.inject({ http }, fault, duration, options);
  }

  injectGrpcFaults(fault, duration, options) {
    demand(arguments, 2, 'GrpcFault and duration are required');
    const rule = translate('a gRPC fault', fault, GRPC);
    return this.inject({ grpc: rule }, fault, duration, options);
  }

  injectNetworkFaults(fault, duration) {
    demand(arguments, 2, 'NetworkFault and duration are required');
    return this.run(networkRules(fault, this.ports), duration);
  }

  // The names that a fork of theirs has for what it adds.
  injectNetworkShapingFaults(fault, duration) {
    demand(arguments, 2, 'NetworkShapingFault and duration are required');
    const { rules, where } = shapingRules(fault);
    return this.run(rules, duration, where);
  }

  injectNetworkPartition(fault, duration) {
    demand(arguments, 2, 'NetworkPartitionFault and duration are required');
    const filter = translate('a network partition', fault, { hosts: ['peers', list], direction: 'direction' });
    return this.run([{ partition: {}, filter }], duration);
  }

  // Deletes so many of the pods, and returns the names of those that are gone.
  terminatePods(fault) {
    demand(arguments, 1, 'PodTermination fault is required');
    const { count, timeout } = translate('a termination', fault, { count: 'count', timeout: 'timeout' });
    const wait = timeout === undefined ? 10 : seconds(timeout);
    const request = { experiment: this.where, count: String(count === undefined ? 1 : count), timeout: `${wait}s` };
    return call('Terminate', request, wait + PATIENCE_SECONDS).targets || [];
  }

  inject(rule, fault, duration, options) {
    const kind = Object.keys(rule)[0];
    Object.assign(rule[kind], translate('the options', options, OPTIONS));
    if (Object.keys(rule[kind]).length === 0) {
      // Nothing happens to requests, and that is what was asked for.
      rule[kind].delay = '0ms';
    }
    const port = (fault || {}).port || this.port;
    if (port) {
      rule.filter = { ports: [port] };
    }
    return this.run([rule], duration);
  }

  run(rules, duration, more) {
    const time = seconds(duration);
    const experiment = Object.assign({ duration: `${Math.round(time * 1000)}ms`, rules }, this.where, more);
    const answer = call('Inject', { experiment }, time + PATIENCE_SECONDS);
    for (const warning of answer.warnings || []) {
      console.warn(`chaos: ${warning}`);
    }
    return answer.result;
  }
}

// Pods by their labels: `{ namespace, select: { labels }, exclude: { labels } }`. Without a namespace, in `default`.
export class PodDisruptor extends Disruptor {
  constructor(selector, options) {
    if (selector === undefined || selector === null) {
      throw new Error('PodDisruptor constructor expects a non null PodSelector argument');
    }
    const given = translate('a selector of pods', selector, {
      namespace: ['namespace', text],
      select: 'select',
      exclude: 'exclude',
    });
    translate('the options of a disruptor', options, { injectTimeout: null });
    const labels = (what) => Object.entries(translate(`${what} of a selector`, given[what], { labels: 'labels' }).labels || {});
    const wanted = labels('select').map(([name, value]) => `${name}=${value}`);
    const unwanted = labels('exclude').map(([name, value]) => `${name}!=${value}`);
    const all = wanted.concat(unwanted);
    if (all.length === 0 && !given.namespace) {
      throw new Error('namespace, select and exclude attributes in pod selector cannot all be empty');
    }
    const selected = all.length === 0 ? `!${NOBODY}` : all.join(',');
    super({ selector: selected, namespace: given.namespace || 'default' }, 80, 'target-ports');
  }
}

// The pods of a service; without a namespace, in that of the kubeconfig's context.
export class ServiceDisruptor extends Disruptor {
  constructor(service, namespace, options) {
    if (!service) {
      throw new Error('must specify a service name');
    }
    translate('the options of a disruptor', options, { injectTimeout: null });
    const where = { service: text(service, 'the name of the service') };
    if (namespace) {
      where.namespace = text(namespace, 'namespace');
    }
    super(where, undefined, 'ports');
  }
}
