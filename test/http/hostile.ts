import { expect } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { readAnswers, type StrictAnswer } from '../support/answers.ts';
import { RawClient } from '../support/raw-client.ts';
import { startRecorder, type Recorder } from '../support/recorder.ts';

/** A gateway with both doors, before a service that sees every byte. */
export interface Stage {
  readonly gateway: TestGateway;
  readonly service: Recorder;
  stop(): Promise<void>;
}

/** REST under `/p`, GraphQL that asks no service at `/graphql`. */
export async function startStage(listen: object = {}, upstream: object = {}): Promise<Stage> {
  const service = await startRecorder();
  const gateway = await startGateway({
    modules: 'test/fixtures/graphql',
    // However slow the machine is, nothing is refused for it.
    listen: { maxEventLoopLag: '60s', ...listen },
    upstreams: { service: { endpoints: [service.url], ...upstream } },
    routes: [{ path: '/p{/*rest}', upstream: 'service' }],
  });
  return {
    gateway,
    service,
    async stop() {
      await untilIdle(gateway);
      await gateway.stop();
      await service.close();
    },
  };
}

/** Bytes of a request: lines ended with CRLF, an empty one, and what follows as it is. */
export const bytesOf = (lines: readonly string[], body = '') => `${lines.join('\r\n')}\r\n\r\n${body}`;

/** Sends bytes and reads all answers, until the gateway shuts the connection by itself. */
export async function exchange({ gateway }: Stage, bytes: string): Promise<StrictAnswer[]> {
  const client = await RawClient.connect(gateway.url);
  client.write(bytes);
  return readAnswers(await client.end());
}

export const codeOf = ({ body }: StrictAnswer) => (JSON.parse(body) as { code?: string }).code;

/** Sees to it that bytes are refused with 400, that their connection ends by it, and that no service sees any of them. */
export async function expectRefused(stage: Stage, bytes: string): Promise<void> {
  const { service } = stage;
  const before = service.bytes;
  const answers = await exchange(stage, bytes);
  expect(answers.map(({ status }) => status)).toEqual([400]);
  expect(answers[0]!.headers).toMatchObject({
    connection: 'close',
    'content-type': expect.stringContaining('json') as string,
  });
  expect(JSON.stringify(answers[0])).toContain('BAD_REQUEST');
  expect(service.bytes).toBe(before);
}
