import type { Socket } from 'node:net';
import { closeFrame, Frames } from './frames.ts';

/** RFC 6455 §7.4.1: an endpoint is going away, such as a server going down. */
const goingAway = 1001;

/** §7.4.1: the generic code of an end for a reason that none of the others names, such as a credential that is no more. */
export const policyViolation = 1008;

/** What either side gets to come to the end of the frame that it is in, and to answer a close frame. */
const farewellMs = 1_000;

/**
 * The two sockets of a WebSocket once they are joined. What goes through is theirs alone, and the gateway says nothing in
 * between until it has to stop: then both are told, each at the end of a frame, instead of finding the line dead. Frames
 * are followed from the first byte on, since nothing in the middle of them tells where they end.
 */
export class Tunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #toClient = new Frames();
  readonly #toUpstream = new Frames();
  readonly #followClient = (chunk: Buffer) => this.#toUpstream.follow(chunk);
  readonly #followUpstream = (chunk: Buffer) => this.#toClient.follow(chunk);
  #leaving = false;

  /**
   * To be made once they are joined, before the first byte of either is read.
   * @param idleMs how long an upstream may be silent, or a client leave unread what an upstream said last
   */
  constructor(client: Socket, upstream: Socket, idleMs: number) {
    this.#client = client;
    this.#upstream = upstream;
    client.on('data', this.#followClient);
    upstream.on('data', this.#followUpstream);
    // A pipe hands on an orderly end only; a connection that breaks must break the other.
    client.once('close', () => this.cut());
    upstream.once('close', () => {
      if (!this.#leaving) client.destroySoon();
      client.setTimeout(idleMs, () => client.destroy());
    });
    // What is written to it counts as well as what is read. Nothing unexpected has happened, so that it is not 1011: the
    // gateway leaves, and whoever still wants something connects again.
    upstream.setTimeout(idleMs, () => this.leave());
  }

  /** The client is gone. */
  cut(): void {
    // Of a goodbye that is under way the last bytes may still be in our hands.
    if (this.#leaving) this.#upstream.destroySoon();
    else this.#upstream.destroy();
  }

  /**
   * Says goodbye both ways, gives each side a moment to answer, and closes.
   * @param code what the client is told; to the upstream the gateway is a client that goes away
   */
  leave(code = goingAway): void {
    const client = this.#client;
    const upstream = this.#upstream;
    if (this.#leaving || client.destroyed || upstream.destroyed) return;
    this.#leaving = true;
    client.unpipe(upstream).off('data', this.#followClient);
    upstream.unpipe(client).off('data', this.#followUpstream);
    part(upstream, client, this.#toClient, closeFrame(code, false));
    part(client, upstream, this.#toUpstream, closeFrame(goingAway, true));
    const late = setTimeout(() => {
      client.destroy();
      upstream.destroy();
    }, farewellMs);
    client.once('close', () => clearTimeout(late));
  }
}

/**
 * Lets the frame come to its end that is under way between two sockets, says goodbye, and reads what else comes only for
 * the answer to that. A close frame of their own that has gone through is not said again (RFC 6455 §5.5.1).
 */
function part(from: Socket, to: Socket, passed: Frames, goodbye: Buffer): void {
  let said = false;
  const say = () => {
    said = true;
    if (!passed.closed) to.write(goodbye);
  };
  const over = () => from.destroySoon();
  if (passed.between) say();
  if (passed.closed) over();
  from.on('data', (chunk: Buffer) => {
    const last = said ? nothing : passed.finish(chunk);
    if (last.length > 0 && !to.write(last)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
    if (!said && passed.between) say();
    passed.follow(chunk.subarray(last.length));
    if (passed.closed) over();
  });
  from.once('end', over);
  from.resume();
}

const nothing = Buffer.alloc(0);
