// Messages on a channel: values in, values out. Whatever is no message ends the channel, with the reason.

import { BpfError, Errno } from '../bpf/errno.js';
import type { ByteChannel } from './channel.js';
import { decode, encode } from './codec.js';
import { FrameReader, frame, MAX_FRAME } from './frames.js';

/** Bytes that may wait for a slow reader before it is not listened to any more. */
const MAX_UNSENT = 4 << 20;

export interface MessageEvents {
  /** `size` in bytes. */
  received(message: unknown, size: number): void;
  /** The channel has ended; `error` when it was not in order. Called once. */
  ended(error?: Error): void;
}

export class Messages {
  readonly #channel: ByteChannel;
  readonly #reader: FrameReader;
  readonly #events: MessageEvents;
  #isEnded = false;
  #isBusy = false;

  /** `limit`: the longest message that is taken, in bytes. */
  constructor(channel: ByteChannel, limit: number, events: MessageEvents) {
    this.#channel = channel;
    this.#reader = new FrameReader(limit);
    this.#events = events;
    channel.open({
      received: (bytes) => {
        this.#reader.push(bytes);
        this.#deliver();
      },
      drained: () => this.#balance(),
      ended: (error) => this.#ended(error),
    });
  }

  /** The longest message that is taken from now on. */
  set limit(bytes: number) {
    this.#reader.limit = bytes;
  }

  #deliver(): void {
    try {
      while (!this.#isEnded) {
        const body = this.#reader.next();
        if (!body) return;
        this.#events.received(decode(body), body.length);
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Throws a BpfError (E2BIG) when the message is too long. */
  send(message: unknown): void {
    if (this.#isEnded) return;
    const body = encode(message);
    if (body.length > MAX_FRAME) {
      const detail = `${body.length} bytes, of which ${MAX_FRAME} at most go at once`;
      throw new BpfError('message', Errno.E2BIG, detail);
    }
    this.#channel.send(frame(body));
    this.#balance();
  }

  /** More is wanted or less, beside what a slow reader makes of it. */
  set busy(isBusy: boolean) {
    if (this.#isBusy === isBusy) return;
    this.#isBusy = isBusy;
    this.#balance();
  }

  #balance(): void {
    if (this.#isEnded) return;
    if (this.#isBusy || this.#channel.unsent > MAX_UNSENT) this.#channel.pause();
    else this.#channel.resume();
  }

  /** Ends the channel because of what came. */
  fail(error: Error): void {
    this.#ended(error);
    this.#channel.destroy();
  }

  /** Ends the channel when everything is sent. */
  end(): void {
    this.#channel.end();
  }

  #ended(error?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#events.ended(error);
  }
}
