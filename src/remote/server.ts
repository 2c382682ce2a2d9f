// A kernel for clients on channels. Each client is a process of its own: what it opened is closed when it ends, however
// it ends.

import { createBirpc } from 'birpc';
import { SkepError } from '../base/error.js';
import type { Bpf, TraceEvent } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { CapturedPacket, CapturePoint, Machine } from '../bpf/machine.js';
import type { ByteChannel } from './channel.js';
import { MAX_FRAME } from './frames.js';
import { Messages } from './messages.js';
import {
  type About,
  bpfMethods,
  type ClientHello,
  CONTROL,
  controlMethods,
  Greeting,
  type KernelControl,
  type LoggedResult,
  logged,
  MACHINE,
  MAX_HELLO,
  type MethodKind,
  machineMethods,
  PROTOCOL,
  STREAM,
  STREAMED,
  type Task,
} from './protocol.js';
import { type Item, StreamBuffer, type StreamOptions } from './stream.js';

/** What a client is to the kernel. */
export interface ServedProcess {
  readonly bpf: Bpf;
  /** Absent where the machine around the kernel is not made of commands. */
  readonly machine?: Machine;
  /** Closes every descriptor. */
  exit(): Promise<void>;
}

/** What is served. */
export interface ServedKernel {
  readonly about: About;
  process(task: Task): ServedProcess;
  /** The commands for the kernel as a whole, as `client` gives them. */
  control(client: Client): KernelControl;
  /** Is told of errors that are neither the client's nor Linux's: bugs. */
  report(error: unknown, where: string): void;
}

/** Calls of one client that wait for their turn, and bytes of its calls, before it is not listened to for a while. */
const MAX_QUEUED = 256;
const MAX_HELD = 64 << 20;

/** Of one client: calls that wait for something to happen, and streams. */
const MAX_WAITING = 256;
const MAX_STREAMS = 64;

/** What a client that says nothing is given, in milliseconds. */
const HELLO_TIME = 10_000;

/** Of trace_pipe, for each client: as much as Linux keeps for a CPU. */
const TRACE: StreamOptions<TraceEvent> = {
  sizeOf: ({ text, task }) => 64 + text.length + task.length,
  laneOf: ({ cpu }) => cpu,
  capacity: 1408 << 10,
};

const CAPTURE: StreamOptions<CapturedPacket> = {
  sizeOf: ({ data }) => 32 + data.length,
  laneOf: () => 0,
  capacity: 4 << 20,
};

interface Stream {
  readonly buffer: { taken(): void };
  source: Disposable | undefined;
  isClosed: boolean;
}

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

function unknownMethod(name: string): never {
  throw new SkepError(`the kernel has no command ${name}`, {
    hint: 'It was started by another build of Skep: skep kernel stop ends it, and the next command starts a new one.',
  });
}

const isTask = ({ name, pid }: Partial<Task>): boolean =>
  typeof name === 'string' && name.length <= 64 && Number.isInteger(pid);

/** A connection to a kernel, from the kernel's side. */
export class Client {
  readonly #kernel: ServedKernel;
  readonly #messages: Messages;
  readonly #rpc;
  readonly #functions: Methods = Object.create(null);
  readonly #streams = new Map<number, Stream>();
  readonly #opened = new Set<number>();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #onEnd: (client: Client) => void;
  #deliver: ((message: unknown) => Promise<void>) | undefined;
  #process: ServedProcess | undefined;
  #hasGreeted = false;
  #isEnded = false;
  /** The last of the calls that are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #held = 0;
  #waiting = 0;
  /** Who it said it is. */
  task: Task | undefined;
  /** Resolves when everything that it held is given back. */
  readonly gone: Promise<void>;
  #setGone!: () => void;

  /** `onEnd` is called once, when the connection has ended and the process with it. */
  constructor(channel: ByteChannel, kernel: ServedKernel, onEnd: (client: Client) => void = () => {}) {
    this.#kernel = kernel;
    this.#onEnd = onEnd;
    this.gone = new Promise((resolve) => {
      this.#setGone = resolve;
    });
    this.#rpc = createBirpc<Record<string, Method>, Methods, false>(this.#functions, {
      proxify: false,
      timeout: -1,
      resolver: (name, method) => method ?? (() => unknownMethod(name)),
      post: (message) => this.#messages.send(message),
      on: (deliver) => {
        this.#deliver = deliver as (message: unknown) => Promise<void>;
      },
      onFunctionError: (error, name) => this.#noteBug(error, name),
      onGeneralError: (error, name) => {
        this.#noteBug(error, name ?? 'a message');
        return true;
      },
    });
    this.#timer = setTimeout(() => this.end(), HELLO_TIME);
    (this.#timer as { unref?(): void }).unref?.();
    this.#messages = new Messages(channel, MAX_HELLO, {
      received: (message, size) => this.#received(message, size),
      ended: () => void this.#ended(),
    });
  }

  /** Descriptors that it holds. */
  get descriptors(): number {
    return this.#opened.size;
  }

  /** Ends the connection. */
  end(): void {
    this.#messages.end();
    void this.#ended();
  }

  #noteBug(error: unknown, where: string): undefined {
    if (!(error instanceof SkepError) && !(error instanceof BpfError)) this.#kernel.report(error, where);
  }

  // ---- messages

  #received(message: unknown, size: number): void {
    if (!this.#hasGreeted) {
      this.#hasGreeted = true;
      clearTimeout(this.#timer);
      this.#greet(message as Partial<ClientHello> | null);
      return;
    }
    if (typeof message !== 'object' || message === null || !this.#deliver) throw new SkepError('no call');
    this.#held += size;
    this.#balance();
    void this.#deliver(message)
      .catch((error) => {
        this.#kernel.report(error, 'a message');
        this.end();
      })
      .then(() => {
        this.#held -= size;
        this.#balance();
      });
  }

  /** Lets a client wait that asks for more than is done. */
  #balance(): void {
    this.#messages.busy = this.#queued > MAX_QUEUED || this.#held > MAX_HELD;
  }

  #greet(hello: Partial<ClientHello> | null): void {
    const { about } = this.#kernel;
    const answer = { greeting: Greeting.kernel, protocol: PROTOCOL, ...about };
    const refuse = (refused: string): void => {
      this.#messages.send({ ...answer, refused });
      this.end();
    };
    if (hello?.greeting !== Greeting.client || !isTask(hello)) {
      refuse('that was no greeting');
      return;
    }
    if (hello.protocol !== PROTOCOL) {
      refuse(`it speaks version ${PROTOCOL} of the protocol, not ${hello.protocol}`);
      return;
    }
    this.task = { name: hello.name as string, pid: hello.pid as number };
    this.#messages.limit = MAX_FRAME;
    try {
      this.#process = this.#kernel.process(this.task);
    } catch (error) {
      this.#kernel.report(error, 'a new process');
      refuse('it could not make a process');
      return;
    }
    this.#offer(this.#process);
    this.#messages.send(answer);
  }

  // ---- calls

  #offer({ bpf, machine }: ServedProcess): void {
    this.#add('', bpf, bpfMethods);
    if (machine) this.#add(MACHINE, machine, machineMethods);
    this.#add(CONTROL, this.#kernel.control(this), controlMethods);
    this.#functions[`${STREAM}trace`] = (id) =>
      this.#open(id, TRACE, (push) => bpf.trace((event) => push(event)));
    this.#functions[`${STREAM}deviceCapture`] = (id, name, point) =>
      this.#open(id, CAPTURE, (push) => {
        if (!machine) throw new SkepError('this kernel has no devices of its own');
        return machine.deviceCapture(name as string, point as CapturePoint, (packets) => {
          for (const packet of packets) push(packet);
        });
      });
    this.#functions[`${STREAM}taken`] = (id) => this.#streams.get(id as number)?.buffer.taken();
    this.#functions[`${STREAM}close`] = (id) => this.#close(id as number);
  }

  #add<T extends object>(prefix: string, service: T, methods: Readonly<Record<string, MethodKind>>): void {
    for (const [name, kind] of Object.entries(methods)) {
      const method = (service[name as keyof T] as Method).bind(service);
      this.#functions[prefix + name] = this.#asCall(name, kind, method);
    }
  }

  #asCall(name: string, kind: MethodKind, method: Method): Method {
    if (kind === 'wait') return (...args) => this.#asWaiting(name, () => method(...args));
    if (name === 'close') {
      return (fd) =>
        this.#inTurn(async () => {
          await method(fd);
          this.#opened.delete(fd as number);
        });
    }
    const at = logged[name];
    if (at !== undefined) return (...args) => this.#inTurn(() => this.#withLog(method, args, at));
    if (kind === 'opens') {
      return (...args) =>
        this.#inTurn(async () => {
          const fd = (await method(...args)) as number;
          this.#opened.add(fd);
          return fd;
        });
    }
    return (...args) => this.#inTurn(() => method(...args));
  }

  async #asWaiting(name: string, call: () => unknown): Promise<unknown> {
    if (this.#waiting >= MAX_WAITING) {
      throw new BpfError(name, Errno.EAGAIN, `${MAX_WAITING} calls of this client wait already`);
    }
    this.#waiting++;
    try {
      return await call();
    } finally {
      this.#waiting--;
    }
  }

  /** The log is filled in whether the load succeeds or not: both are a result. */
  async #withLog(method: Method, args: unknown[], at: number): Promise<LoggedResult> {
    const options = args[at] as { log?: { text: string } } | null | undefined;
    const log = options?.log ? { text: '' } : undefined;
    const given = [...args];
    if (log) given[at] = { ...options, log };
    const result: LoggedResult = {};
    try {
      result.fd = (await method(...given)) as number;
      this.#opened.add(result.fd);
    } catch (error) {
      this.#noteBug(error, 'a load');
      result.error = error instanceof Error ? error : new Error(String(error));
    }
    if (log) result.log = log.text;
    return result;
  }

  /** Calls begin when those before have ended, as those of a process with one thread do. */
  #inTurn<T>(call: () => T | Promise<T>): Promise<T> {
    this.#queued++;
    this.#balance();
    const result = this.#last.then(() => {
      if (this.#isEnded) throw new SkepError('the client has ended');
      return call();
    });
    this.#last = result
      .catch(() => {})
      .then(() => {
        this.#queued--;
        this.#balance();
      });
    return result;
  }

  // ---- streams

  async #open<T extends Item>(
    id: unknown,
    options: StreamOptions<T>,
    begin: (push: (item: T) => void) => Promise<Disposable>,
  ): Promise<void> {
    if (typeof id !== 'number' || this.#streams.has(id)) throw new SkepError(`no new stream: ${id}`);
    if (this.#streams.size >= MAX_STREAMS) throw new SkepError(`there are ${MAX_STREAMS} streams already`);
    const buffer = new StreamBuffer<T>(options, (items) => this.#stream(id, items));
    const stream: Stream = { buffer, source: undefined, isClosed: false };
    this.#streams.set(id, stream);
    try {
      stream.source = await this.#inTurn(() =>
        begin((item) => {
          if (!stream.isClosed) buffer.push(item);
        }),
      );
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    }
    // It may have been closed meanwhile.
    if (stream.isClosed) stream.source[Symbol.dispose]();
  }

  #stream(id: number, items: unknown[]): void {
    if (this.#isEnded) return;
    void this.#rpc.$callEvent(STREAMED, id, items).catch((error) => this.#noteBug(error, 'a stream'));
  }

  #close(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.isClosed = true;
    this.#streams.delete(id);
    stream.source?.[Symbol.dispose]();
  }

  // ---- the end

  async #ended(): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#rpc.$close();
    for (const id of [...this.#streams.keys()]) this.#close(id);
    // A call that is under way comes to its end: what it opens must be closed as well.
    await this.#last;
    try {
      await this.#process?.exit();
    } catch (error) {
      this.#kernel.report(error, 'the end of a process');
    }
    this.#opened.clear();
    this.#onEnd(this);
    this.#setGone();
  }
}
