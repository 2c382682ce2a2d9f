// A kernel in another process, as a Bpf of this one.

import { createBirpc } from 'birpc';
import { SkepError } from '../base/error.js';
import type { Bpf, TraceEvent } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import type { CapturedPacket, CapturePoint, Machine } from '../bpf/machine.js';
import type { ByteChannel } from './channel.js';
import { MAX_FRAME } from './frames.js';
import { Messages } from './messages.js';
import {
  type About,
  bpfMethods,
  CONTROL,
  controlMethods,
  Greeting,
  type KernelControl,
  type KernelHello,
  type LoggedResult,
  logged,
  MACHINE,
  machineMethods,
  PROTOCOL,
  STREAM,
  STREAMED,
  type Task,
} from './protocol.js';

/** The kernel has ended, or the connection to it; what was asked of it meanwhile may have been done or not. */
export class KernelGone extends SkepError {}

/** What answers is no kernel of this version of Skep. */
export class KernelRefused extends SkepError {
  /** What it says it is, where it says something. */
  readonly about: About | undefined;
  constructor(message: string, about?: About) {
    super(message);
    this.about = about;
  }
}

type Method = (...args: unknown[]) => Promise<unknown>;

/** The connection of a process to a kernel elsewhere. What it opens through `bpf` is closed when it ends. */
export class RemoteKernel {
  readonly about: About;
  readonly bpf: Bpf;
  readonly machine: Machine;
  readonly control: KernelControl;
  readonly #connection: Connection;

  private constructor(connection: Connection, about: About) {
    this.#connection = connection;
    this.about = about;
    const call = (name: string, args: unknown[]) => connection.call(name, args);
    this.bpf = {
      ...(methods('', Object.keys(bpfMethods), call) as unknown as Bpf),
      trace: (listener) => connection.stream('trace', [], oneByOne<TraceEvent>(listener)),
    };
    this.machine = {
      ...(methods(MACHINE, Object.keys(machineMethods), call) as unknown as Machine),
      deviceCapture: (name: string, point: CapturePoint, listener) =>
        connection.stream<CapturedPacket>('deviceCapture', [name, point], listener),
    };
    this.control = methods(CONTROL, Object.keys(controlMethods), call) as unknown as KernelControl;
  }

  /**
   * Says who we are and hears who answers. Throws KernelRefused when that is no kernel of this version, KernelGone when
   * the channel ends.
   */
  static async connect(channel: ByteChannel, task: Task): Promise<RemoteKernel> {
    const connection = new Connection(channel);
    try {
      return new RemoteKernel(connection, await connection.greet(task));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Resolves when the connection has ended. */
  get ended(): Promise<void> {
    return this.#connection.ended;
  }

  /** Ends the connection; every descriptor is closed. */
  close(): void {
    this.#connection.close();
  }
}

const methods = (
  prefix: string,
  names: readonly string[],
  call: (name: string, args: unknown[]) => Promise<unknown>,
): Record<string, Method> =>
  Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => call(prefix + name, args)]));

/** Gets what a stream brings; it may ask for time by giving back a promise. */
interface Receiver {
  readonly take: (items: unknown[]) => unknown;
  /** Messages that came while it was asking for time. */
  readonly waiting: unknown[][];
  isBusy: boolean;
}

/** Hands items out one by one. */
const oneByOne =
  <T>(listener: (item: T) => unknown) =>
  (items: readonly T[], isOpen: () => boolean): unknown => {
    const from = (start: number): unknown => {
      for (let i = start; i < items.length && isOpen(); i++) {
        const wait = listener(items[i] as T);
        if (wait instanceof Promise) return wait.then(() => from(i + 1));
      }
      return undefined;
    };
    return from(0);
  };

class Connection {
  readonly ended: Promise<void>;
  readonly #messages: Messages;
  readonly #rpc;
  readonly #receivers = new Map<number, Receiver>();
  #setEnded!: () => void;
  #deliver: ((message: unknown) => Promise<void>) | undefined;
  #hello: ((message: unknown) => void) | undefined;
  #failHello: ((error: Error) => void) | undefined;
  #nextStream = 1;
  #end: SkepError | undefined;

  constructor(channel: ByteChannel) {
    this.ended = new Promise((resolve) => {
      this.#setEnded = resolve;
    });
    this.#rpc = createBirpc<Record<string, Method>, Record<string, unknown>, false>(
      Object.assign(Object.create(null), {
        [STREAMED]: (id: number, items: unknown[]) => this.#streamed(id, items),
      }),
      {
        proxify: false,
        timeout: -1,
        post: (message) => this.#messages.send(message),
        on: (deliver) => {
          this.#deliver = deliver as (message: unknown) => Promise<void>;
        },
      },
    );
    this.#messages = new Messages(channel, MAX_FRAME, {
      received: (message) => {
        if (this.#hello) return this.#hello(message);
        if (typeof message !== 'object' || message === null) throw new SkepError('no answer');
        void this.#deliver?.(message).catch((error) => this.#ended(error));
      },
      ended: (error) => this.#ended(error),
    });
  }

  greet(task: Task): Promise<About> {
    return new Promise((resolve, reject) => {
      this.#failHello = reject;
      this.#hello = (message) => {
        this.#hello = undefined;
        const hello = message as Partial<KernelHello> | null;
        if (hello?.greeting !== Greeting.kernel)
          return reject(new KernelRefused('what answers is no kernel'));
        const { name = '', pid = 0, version = '', refused } = hello;
        const about = { name, pid, version };
        if (refused !== undefined || hello.protocol !== PROTOCOL) {
          const why = refused ?? `it speaks version ${hello.protocol} of the protocol, not ${PROTOCOL}`;
          return reject(new KernelRefused(why, about));
        }
        resolve(about);
      };
      this.#messages.send({ greeting: Greeting.client, protocol: PROTOCOL, ...task });
    });
  }

  async call(name: string, args: unknown[]): Promise<unknown> {
    if (this.#end) throw this.#end;
    // What is left out at the end must not arrive as null.
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count--;
    const given = args.slice(0, count);
    const at = logged[name];
    try {
      if (at !== undefined) return await this.#load(name, given, at);
      return (await this.#rpc.$call(name, ...given)) ?? undefined;
    } catch (error) {
      throw this.#end ?? this.#named(error, name);
    }
  }

  /** A message that is too long does not know of which call it is; what is none of our errors is a bug there. */
  #named(error: unknown, name: string): unknown {
    if (error instanceof Error && !(error instanceof BpfError) && !(error instanceof SkepError)) {
      const hint =
        'This is a bug of Skep. The log of the kernel says more: skep kernel status shows where it is.';
      return new SkepError(`the kernel failed in ${name}: ${error.name}: ${error.message}`, {
        hint,
        cause: error,
      });
    }
    if (!(error instanceof BpfError) || error.command !== 'message') return error;
    return new BpfError(name, error.errno, error.message.slice(error.message.lastIndexOf(': ') + 2));
  }

  async #load(name: string, args: unknown[], at: number): Promise<number> {
    const options = args[at] as { log?: { text: string } } | undefined;
    const given = [...args];
    if (options?.log) given[at] = { ...options, log: { text: '' } };
    const { fd, error, log } = (await this.#rpc.$call(name, ...given)) as LoggedResult;
    if (options?.log && log !== undefined) options.log.text = log;
    if (fd === undefined) throw error ?? new SkepError(`${name}: no answer`);
    return fd;
  }

  /** `take` gets the items as they come, and whether they are still wanted. */
  async stream<T>(
    name: string,
    args: unknown[],
    take: (items: T[], isOpen: () => boolean) => unknown,
  ): Promise<Disposable> {
    const id = this.#nextStream++;
    const isOpen = () => this.#receivers.has(id);
    this.#receivers.set(id, {
      take: (items) => take(items as T[], isOpen),
      waiting: [],
      isBusy: false,
    });
    try {
      await this.call(`${STREAM}${name}`, [id, ...args]);
    } catch (error) {
      this.#receivers.delete(id);
      throw error;
    }
    return {
      [Symbol.dispose]: () => {
        if (!this.#receivers.delete(id) || this.#end) return;
        this.#tell('close', id);
      },
    };
  }

  #streamed(id: number, items: unknown[]): void {
    const receiver = this.#receivers.get(id);
    if (!receiver) return;
    receiver.waiting.push(items);
    if (!receiver.isBusy) void this.#hand(id, receiver);
  }

  /** At once as far as it goes, so that what a run sent is there before the answer to the run. */
  async #hand(id: number, receiver: Receiver): Promise<void> {
    receiver.isBusy = true;
    for (let items = receiver.waiting.shift(); items; items = receiver.waiting.shift()) {
      try {
        const wait = receiver.take(items);
        if (wait instanceof Promise) await wait;
      } catch (error) {
        // Nobody else is there to hear of it.
        queueMicrotask(() => {
          throw error;
        });
      }
      if (!this.#receivers.has(id) || this.#end) return;
      this.#tell('taken', id);
    }
    receiver.isBusy = false;
  }

  #tell(what: 'close' | 'taken', id: number): void {
    void this.#rpc.$callEvent(`${STREAM}${what}`, id).catch((error) => this.#ended(error));
  }

  #ended(cause?: unknown): void {
    if (this.#end) return;
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    const hint = 'What it was asked last may have been done or not.';
    this.#end = new KernelGone(`the kernel has ended, or the connection to it${why}`, { hint, cause });
    this.#rpc.$close(this.#end);
    this.#failHello?.(this.#end);
    this.#receivers.clear();
    this.#setEnded();
  }

  close(): void {
    this.#messages.end();
    this.#ended();
  }
}
