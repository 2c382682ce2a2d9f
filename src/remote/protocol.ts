// What is said between a kernel and its clients. A client says who it is, the kernel says what it is, each in one message;
// then follow calls and answers (birpc's messages). What a stream brings (lines of trace_pipe, captured packets) comes
// unasked, as far as the client has taken what came before.

import type { Bpf } from '../bpf/bpf.js';
import type { Machine } from '../bpf/machine.js';

/** Raised with every change that a client or a kernel of before would not understand. */
export const PROTOCOL = 1;

/** What first messages say, so that others than our own are told apart. */
export const Greeting = { client: 'skep client', kernel: 'skep kernel' } as const;

/** The longest first message, in bytes. */
export const MAX_HELLO = 4096;

/** Who a client is: what programs that it runs see as the current task. */
export interface Task {
  /** At most 15 bytes are kept, as of every task's name. */
  name: string;
  pid: number;
}

/** A client's first message. */
export interface ClientHello extends Task {
  greeting: typeof Greeting.client;
  protocol: number;
}

/** The kernel behind a connection. */
export interface About {
  /** The name by which `--kernel` picks it. */
  name: string;
  /** The process that it lives in. */
  pid: number;
  /** Of Skep. */
  version: string;
}

/** The kernel's first message. */
export interface KernelHello extends About {
  greeting: typeof Greeting.kernel;
  protocol: number;
  /** Why there is no more to say. */
  refused?: string;
}

export interface KernelStatus extends About {
  /** Seconds since it was started or reset. */
  uptime: number;
  cpus: number;
  engine: string;
  safety: string;
  /** Objects that exist. */
  programs: number;
  maps: number;
  links: number;
  btf: number;
  /** Connections, this one included, and the descriptors that all of them hold. */
  clients: number;
  descriptors: number;
  /** Bytes that its process occupies. */
  memory: number;
  /** Where it listens, and what it notes down. */
  socket: string;
  log: string;
}

/** What a person does to a kernel as a whole. */
export interface KernelControl {
  status(): Promise<KernelStatus>;
  /** Ends it with everything in it. The connection ends with it. */
  stop(): Promise<void>;
  /** As if it were stopped and started: everything is gone, and every connection ends, this one when it has the answer. */
  reset(): Promise<void>;
}

/**
 * How a method is called. `call`: one after the other, as a process with one thread makes system calls. `opens`: so, and
 * it gives a descriptor. `wait`: beside the others, because it may take until something happens.
 */
export type MethodKind = 'call' | 'opens' | 'wait';

/** The methods whose last argument is a function that is called again and again. */
type Streams<T> = {
  [K in keyof T]: T[K] extends (...args: never[]) => Promise<Disposable> ? K : never;
}[keyof T];
type BpfStream = Streams<Bpf>;
type MachineStream = Streams<Machine>;

/** Every method of the waist but its streams. */
export const bpfMethods: Readonly<Record<Exclude<keyof Bpf, BpfStream>, MethodKind>> = {
  mapCreate: 'opens',
  mapLookupElem: 'call',
  mapUpdateElem: 'call',
  mapDeleteElem: 'call',
  mapLookupAndDeleteElem: 'call',
  mapGetNextKey: 'call',
  mapLookupBatch: 'call',
  mapLookupAndDeleteBatch: 'call',
  mapUpdateBatch: 'call',
  mapDeleteBatch: 'call',
  mapFreeze: 'call',
  mapInfo: 'call',
  mapGetNextId: 'call',
  mapGetFdById: 'opens',
  ringbufConsume: 'call',
  ringbufProduce: 'call',
  perfBufferOpen: 'opens',
  perfBufferConsume: 'call',
  poll: 'wait',
  progLoad: 'opens',
  progTestRun: 'call',
  progRunBatch: 'call',
  progBindMap: 'call',
  progInfo: 'call',
  progDump: 'call',
  progGetNextId: 'call',
  progGetFdById: 'opens',
  progStreamRead: 'call',
  enableStats: 'opens',
  taskFdQuery: 'call',
  btfLoad: 'opens',
  btfInfo: 'call',
  btfData: 'call',
  btfGetNextId: 'call',
  btfGetFdById: 'opens',
  linkCreate: 'opens',
  linkUpdate: 'call',
  linkDetach: 'call',
  linkInfo: 'call',
  linkGetNextId: 'call',
  linkGetFdById: 'opens',
  rawTracepointOpen: 'opens',
  progAttach: 'call',
  progDetach: 'call',
  progQuery: 'call',
  iterCreate: 'opens',
  objPin: 'call',
  objGet: 'opens',
  objKind: 'call',
  tokenCreate: 'opens',
  netDevices: 'call',
  xdpSet: 'call',
  tcHookCreate: 'call',
  tcHookDestroy: 'call',
  tcFilterAdd: 'call',
  tcFilterDelete: 'call',
  tcFilters: 'call',
  perfEventOpen: 'opens',
  perfEventSetBpf: 'call',
  perfEventEnable: 'call',
  perfEventDisable: 'call',
  bpfMounts: 'call',
  fileList: 'call',
  fileStat: 'call',
  mkdir: 'call',
  rmdir: 'call',
  rename: 'call',
  hardLink: 'call',
  unlink: 'call',
  chmod: 'call',
  readFile: 'call',
  writeFile: 'call',
  possibleCpus: 'call',
  open: 'opens',
  read: 'wait',
  close: 'call',
};

export const machineMethods: Readonly<Record<Exclude<keyof Machine, MachineStream>, MethodKind>> = {
  deviceAdd: 'call',
  deviceRemove: 'call',
  deviceList: 'call',
  deviceReceive: 'call',
};

export const controlMethods: Readonly<Record<keyof KernelControl, MethodKind>> = {
  status: 'call',
  stop: 'wait',
  reset: 'wait',
};

/** Names of the methods on the wire: those of the waist are their own, the others have a prefix. */
export const MACHINE = 'machine.';
export const CONTROL = 'kernel.';

/** Of the calls that keep streams: `open(id, method, ...args)`, `taken(id)` for each message, `close(id)`. */
export const STREAM = 'stream.';

/** The call from the kernel to the client: `(id, items)`. */
export const STREAMED = 'streamed';

/** What progLoad and btfLoad give: the log is filled in whether they succeed or not. */
export interface LoggedResult {
  fd?: number;
  error?: Error;
  log?: string;
}

/** The methods that have a log, and where among their arguments the object with it is. */
export const logged: Readonly<Partial<Record<string, number>>> = { progLoad: 0, btfLoad: 1 };
