/** `Idempotency-Key`: a write that is sent again, because its answer was lost, happens once and is answered alike. */
import { hash } from 'node:crypto';
import { Problem } from '../kit/problem.ts';
import type { Request } from '../kit/router.ts';
import type { Reply } from '../kit/respond.ts';

/** Keys remembered; the oldest is forgotten first. */
const REMEMBERED = 10_000;

export class Idempotency {
  readonly #answers = new Map<string, { fingerprint: string; reply: Reply }>();

  /** Runs `write`, unless this key was seen. It must be synchronous: two requests with one key cannot overlap then. */
  once({ raw }: Request, body: unknown, write: () => Reply): Reply {
    const key = raw.headers['idempotency-key'];
    if (key === undefined) return write();
    if (typeof key !== 'string' || key === '' || key.length > 255) {
      throw new Problem(400, 'Idempotency-Key must have 1 to 255 characters.');
    }

    const fingerprint = hash('sha1', JSON.stringify(body));
    const earlier = this.#answers.get(key);
    if (earlier && earlier.fingerprint !== fingerprint) {
      throw new Problem(422, 'This Idempotency-Key was used for another body.');
    }
    if (earlier) return { ...earlier.reply, headers: { ...earlier.reply.headers, 'idempotency-replayed': 'true' } };

    const reply = write();
    this.#answers.set(key, { fingerprint, reply });
    if (this.#answers.size > REMEMBERED) this.#answers.delete(this.#answers.keys().next().value!);
    return reply;
  }
}
