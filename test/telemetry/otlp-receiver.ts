import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { decode, type Message, type Schema } from './protobuf.ts';

/** opentelemetry-proto v1, the fields that the specifications look at. */
const anyValue: Schema = {
  1: ['string', 'string'],
  2: ['bool', 'bool'],
  3: ['int', 'varint'],
  4: ['double', 'double'],
  5: ['array', () => ({ 1: ['values', () => anyValue, 'repeated'] })],
  6: ['map', () => ({ 1: ['values', () => keyValue, 'repeated'] })],
};
const keyValue: Schema = { 1: ['key', 'string'], 2: ['value', () => anyValue] };
const attributes = ['attributes', () => keyValue, 'repeated'] as const;
const resource: Schema = { 1: attributes };
const span: Schema = {
  1: ['traceId', 'bytes'],
  2: ['spanId', 'bytes'],
  3: ['traceState', 'string'],
  4: ['parentSpanId', 'bytes'],
  5: ['name', 'string'],
  6: ['kind', 'varint'],
  9: attributes,
  15: ['status', () => ({ 2: ['message', 'string'], 3: ['code', 'varint'] })],
};
const numberPoint: Schema = { 4: ['double', 'double'], 6: ['int', 'fixed64'], 7: attributes };
const histogramPoint: Schema = {
  4: ['count', 'fixed64'],
  5: ['sum', 'double'],
  6: ['counts', 'fixed64', 'repeated'],
  7: ['bounds', 'double', 'repeated'],
  9: attributes,
};
const metric: Schema = {
  1: ['name', 'string'],
  3: ['unit', 'string'],
  5: ['gauge', () => ({ 1: ['points', () => numberPoint, 'repeated'] })],
  7: [
    'sum',
    () => ({ 1: ['points', () => numberPoint, 'repeated'], 2: ['temporality', 'varint'], 3: ['monotonic', 'bool'] }),
  ],
  9: ['histogram', () => ({ 1: ['points', () => histogramPoint, 'repeated'], 2: ['temporality', 'varint'] })],
};
const logRecord: Schema = {
  2: ['severityNumber', 'varint'],
  3: ['severityText', 'string'],
  5: ['body', () => anyValue],
  6: attributes,
  9: ['traceId', 'bytes'],
  10: ['spanId', 'bytes'],
};

/** All three signals nest alike: resource, scope, item. */
function request(item: Schema): Schema {
  const scopes: Schema = { 2: ['items', () => item, 'repeated'] };
  const resources: Schema = { 1: ['resource', () => resource], 2: ['scopes', () => scopes, 'repeated'] };
  return { 1: ['resources', () => resources, 'repeated'] };
}

const schemas: Readonly<Record<string, Schema>> = {
  '/v1/traces': request(span),
  '/v1/metrics': request(metric),
  '/v1/logs': request(logRecord),
};

/** An item of a signal, its attributes as an object, beside those of its resource. */
export interface Received extends Message {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** What the receiver does with a request: take it, refuse it, or never answer. */
type Mood = 'accept' | 'fail' | 'hang';

/** An OTLP/HTTP receiver on loopback. */
export class OtlpReceiver {
  mood: Mood;
  readonly spans: Received[] = [];
  readonly metrics: Received[] = [];
  readonly logs: Received[] = [];
  readonly contentTypes = new Set<string | undefined>();
  requests = 0;
  readonly #server: Server;

  private constructor(mood: Mood) {
    this.mood = mood;
    this.#server = createServer((incoming, response) => {
      this.requests++;
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        if (this.mood === 'hang') return;
        if (this.mood === 'accept') {
          const sent = Buffer.concat(chunks);
          this.contentTypes.add(incoming.headers['content-type']);
          this.#take(incoming.url ?? '', incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent);
        }
        response.writeHead(this.mood === 'accept' ? 200 : 500).end();
      });
    });
  }

  static async listen(mood: Mood = 'accept'): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(mood);
    await new Promise<void>((resolve) => {
      receiver.#server.listen(0, '127.0.0.1', resolve);
    });
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #take(path: string, body: Buffer): void {
    const schema = schemas[path];
    if (!schema) throw new Error(`no OTLP signal at ${path}`);
    const into = { '/v1/traces': this.spans, '/v1/metrics': this.metrics, '/v1/logs': this.logs }[path]!;
    for (const { resource: from, scopes } of decode(body, schema).resources as {
      resource: Message;
      scopes: Message[];
    }[]) {
      for (const item of scopes.flatMap((scope) => scope.items as Message[])) {
        into.push({ ...item, attributes: record(item.attributes), resource: record(from.attributes) });
      }
    }
  }
}

/** A list of OTLP key-values as an object. */
export function record(list: unknown): Readonly<Record<string, unknown>> {
  const entries = (list ?? []) as { key: string; value: Message }[];
  return Object.fromEntries(entries.map(({ key, value }) => [key, plain(value)]));
}

function plain(value: Message): unknown {
  if (value.array !== undefined) return ((value.array as Message).values as Message[]).map(plain);
  if (value.map !== undefined) return record((value.map as Message).values);
  return value.string ?? value.bool ?? value.int ?? value.double;
}
