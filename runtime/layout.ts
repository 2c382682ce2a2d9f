// Everything that lies in the kernel's linear memory and is known by more than one part, laid out once.
// The build reads the exported constants below out of the compiled module and hands them to TypeScript
// (src/kernel/memory/runtime.generated.ts), so no offset is written twice.
//
//   0          page 0: never mapped to anything; an access there is a null dereference
//   64 KiB     static data of this module, then the heap: CPUs, stacks, maps, programs, frames

/** Upper half of every kernel pointer; the lower half is the offset in linear memory. */
export const POINTER_BASE: u64 = 0xffff888100000000;
/** Nothing lies below this offset (memoryBase in asconfig.json). */
export const FIRST_OFFSET: u32 = 0x10000;

/** The state of the CPU that runs a program. One exists for each CPU. */
@unmanaged export class Cpu {
  /** CPU number. */
  id: u32 = 0;
  /** The Program being run (address), for bounds checks and fault reports. */
  program: usize = 0;
  /** The context that the program was given (address of an XdpFrame for XDP). */
  ctx: usize = 0;
  /** The packet that the program may touch: [packetStart, packetEnd). */
  packetStart: usize = 0;
  packetEnd: usize = 0;
  /** The stack that programs may touch: [stackStart, stackEnd); the first frame ends at stackEnd. */
  stackStart: usize = 0;
  stackEnd: usize = 0;
  /** Tail calls made in this run. */
  tailCalls: u32 = 0;
  /** Instructions that this run may still take (checked mode). */
  budget: i32 = 0;
  /** What ended the run early: FAULT_*, 0 for nothing. */
  faultKind: u32 = 0;
  /** The instruction (slot). */
  faultSlot: u32 = 0;
  /** The Program (address) that faulted. */
  faultProgram: usize = 0;
  /** The offending address or value. */
  faultAddress: u64 = 0;
  /** Size of the access in bytes. */
  faultSize: u32 = 0;
  /** The frame that a batch is at. */
  frameIndex: u32 = 0;
  /** Arguments and result of a helper that runs in the host. */
  arg1: u64 = 0;
  arg2: u64 = 0;
  arg3: u64 = 0;
  arg4: u64 = 0;
  arg5: u64 = 0;
  result: u64 = 0;
  /** What the last bpf_redirect or bpf_redirect_map asked for; the map (address) is 0 for the former. */
  redirectIfindex: u32 = 0;
  redirectFlags: u32 = 0;
  redirectMap: usize = 0;
  redirectIndex: u32 = 0;
  /** Where the frame of a function lies that compiled code lets a helper call. */
  frame: u32 = 0;
  /** State of get_prandom_u32, never 0. */
  random: u64 = 0;
  /** The interpreter's state (an Interpreter); 0 until it has run on this CPU. */
  interpreter: usize = 0;
}

/** A loaded program, as the engines see it. */
@unmanaged export class Program {
  id: u32 = 0;
  /** Instructions after relocation, 8 bytes each. */
  insns: usize = 0;
  /** Their number, in slots. */
  insnCount: u32 = 0;
  /** The maps that it may touch: an array of BpfMap addresses. */
  maps: usize = 0;
  mapCount: u32 = 0;
  /** Index of its entry in the shared function table; 0 when it has no machine code. */
  entry: u32 = 0;
  /** Bytes of context that it may read. */
  ctxSize: u32 = 0;
  /** A bit for each byte of the context: whether it may be written; 0: none may. */
  ctxWritable: usize = 0;
  /** The verifier has accepted it, or it is known to be right: its accesses are not looked at. */
  trusted: u32 = 0;
  /** Where compiled code is called back, in the table of the runtime; 0: it is interpreted. */
  callback: u32 = 0;
  /** The arena that it uses; 0: none. */
  arena: usize = 0;
  /** Its calls of kernel functions: an array of KfuncCalls. */
  kfuncs: usize = 0;
  // Where a frame of this program's type has what the engines need (src/kernel/jit/code.ts: FrameShape).
  startField: u32 = 0;
  endField: u32 = 0;
  dataField: u32 = 0;
  resultField: u32 = 0;
  redirectField: u32 = 0;
  /** What pointers in the context lead to: bytes [objectsField, objectsEnd) of the frame. */
  objectsField: u32 = 0;
  objectsEnd: u32 = 0;
}

/** A call of a kernel function: which, and what the kernel passes beside what the program does. */
@unmanaged export class KfuncCall {
  /** Its number (kfuncs/dispatch.ts). */
  number: u32 = 0;
  /** The register that gets the ObjectType, and the one that gets where a node lies in its object; 0: none. */
  typeAt: u32 = 0;
  type: usize = 0;
  offsetAt: u32 = 0;
  offset: u32 = 0;
}

/** What the kernel knows of a type of which programs make objects: its size, then `fields` ObjectFields. */
@unmanaged export class ObjectType {
  size: u32 = 0;
  fields: u32 = 0;
}

/** A field that the kernel looks after. */
@unmanaged export class ObjectField {
  /** FIELD_*. */
  kind: u32 = 0;
  offset: u32 = 0;
  /** Of a list or tree: the type of its objects, and where the node lies in them. Of a kernel pointer: its type, if known. */
  type: usize = 0;
  node: u32 = 0;
}

/** A map's header. What `values` points to is the part that programs may touch. */
@unmanaged export class BpfMap {
  type: u32 = 0;
  id: u32 = 0;
  keySize: u32 = 0;
  valueSize: u32 = 0;
  maxEntries: u32 = 0;
  flags: u32 = 0;
  /** First element, elements are `elementSize` apart, a value begins `valueOffset` into its element. */
  values: usize = 0;
  elementSize: u32 = 0;
  valueOffset: u32 = 0;
  /** Bytes of all elements. */
  length: u32 = 0;
  /** Per-CPU maps: bytes from one CPU's value to the next; 0 otherwise. */
  cpuStride: u32 = 0;
  /** Bit 0: programs may read; bit 1: programs may write. */
  access: u32 = 0;
  /** Elements in use; of an array all of them. */
  count: u32 = 0;
  /** Hash tables: bucket heads, number of buckets less one, first free element, hash seed. */
  buckets: usize = 0;
  bucketMask: u32 = 0;
  free: usize = 0;
  seed: u32 = 0;
  /** Bytes set aside for elements (a hash's `length` counts those once used). */
  capacity: u32 = 0;
  /** One spare element for each CPU, for replacing an element that exists; 0 without. */
  spares: usize = 0;
  /** Number of possible CPUs. */
  cpus: u32 = 0;
  /** map_extra: what it means is the type's. */
  extra: u32 = 0;
  /** Upper half of map_extra, for types that need it. */
  extraHigh: u32 = 0;
  /** What a type keeps besides the elements, in a structure of its own; 0 when it has none. */
  state: usize = 0;
}

/** One packet in flight. Its first 24 bytes are the program's context, struct xdp_md. */
@unmanaged export class XdpFrame {
  data: u32 = 0;
  dataEnd: u32 = 0;
  dataMeta: u32 = 0;
  ingressIfindex: u32 = 0;
  rxQueueIndex: u32 = 0;
  egressIfindex: u32 = 0;
  /** The buffer around the packet: head and tail may move within [hardStart, hardEnd). */
  hardStart: u32 = 0;
  hardEnd: u32 = 0;
  /** r0 at exit. */
  result: u64 = 0;
  redirectIfindex: u32 = 0;
  redirectFlags: u32 = 0;
  reserved1: u64 = 0;
  reserved2: u64 = 0;
}

/** A socket as programs see it: struct bpf_sock, then what the kernel keeps. */
@unmanaged export class Socket {
  boundDevIf: u32 = 0;
  family: u32 = 0;
  type: u32 = 0;
  protocol: u32 = 0;
  mark: u32 = 0;
  priority: u32 = 0;
  srcIp4: u32 = 0;
  srcIp6: u32 = 0;
  srcIp6b: u32 = 0;
  srcIp6c: u32 = 0;
  srcIp6d: u32 = 0;
  /** In host byte order. */
  srcPort: u32 = 0;
  /** In network byte order. */
  dstPort: u16 = 0;
  padding: u16 = 0;
  dstIp4: u32 = 0;
  dstIp6: u32 = 0;
  dstIp6b: u32 = 0;
  dstIp6c: u32 = 0;
  dstIp6d: u32 = 0;
  /** TCP_* . */
  state: u32 = 0;
  rxQueueMapping: i32 = 0;
  /** Made by the first bpf_get_socket_cookie; 0 before. */
  cookie: u64 = 0;
  reserved: u64 = 0;
}

/** A socket buffer in flight. Its first 192 bytes are the program's context, struct __sk_buff. */
@unmanaged export class SkbFrame {
  len: u32 = 0;
  pktType: u32 = 0;
  mark: u32 = 0;
  queueMapping: u32 = 0;
  protocol: u32 = 0;
  vlanPresent: u32 = 0;
  vlanTci: u32 = 0;
  vlanProto: u32 = 0;
  priority: u32 = 0;
  ingressIfindex: u32 = 0;
  ifindex: u32 = 0;
  tcIndex: u32 = 0;
  cb0: u32 = 0;
  cb1: u32 = 0;
  cb2: u32 = 0;
  cb3: u32 = 0;
  cb4: u32 = 0;
  hash: u32 = 0;
  tcClassid: u32 = 0;
  data: u32 = 0;
  dataEnd: u32 = 0;
  napiId: u32 = 0;
  family: u32 = 0;
  remoteIp4: u32 = 0;
  localIp4: u32 = 0;
  remoteIp6: u32 = 0;
  remoteIp6b: u32 = 0;
  remoteIp6c: u32 = 0;
  remoteIp6d: u32 = 0;
  localIp6: u32 = 0;
  localIp6b: u32 = 0;
  localIp6c: u32 = 0;
  localIp6d: u32 = 0;
  remotePort: u32 = 0;
  localPort: u32 = 0;
  dataMeta: u32 = 0;
  flowKeys: u64 = 0;
  tstamp: u64 = 0;
  wireLen: u32 = 0;
  gsoSegs: u32 = 0;
  sk: u64 = 0;
  gsoSize: u32 = 0;
  tstampType: u32 = 0;
  hwtstamp: u64 = 0;
  /** r0 at exit. */
  result: u64 = 0;
  redirectIfindex: u32 = 0;
  redirectFlags: u32 = 0;
  /** The buffer [hardStart, hardEnd), and the packet in it. What the context calls data_end may be hidden (0). */
  hardStart: u32 = 0;
  hardEnd: u32 = 0;
  head: u32 = 0;
  tail: u32 = 0;
  /** Where headers begin, from hardStart. */
  macHeader: u32 = 0;
  networkHeader: u32 = 0;
  /** 0xffffffff: not set. */
  transportHeader: u32 = 0;
  macLength: u32 = 0;
  /** CHECKSUM_*: what is known of checksums; for CHECKSUM_COMPLETE the sum. */
  summed: u32 = 0;
  sum: u32 = 0;
  sumLevel: u32 = 0;
  /** The program's type sees packet pointers. */
  pointers: u32 = 0;
  /** Not 0: the buffer was made by a helper, and goes with the run. */
  owned: u32 = 0;
  hashKnown: u32 = 0;
  gsoType: u32 = 0;
  /** The packet carries another one. */
  encapsulation: u32 = 0;
  /** struct bpf_flow_keys, 56 bytes, and the socket. */
  keys0: u64 = 0;
  keys1: u64 = 0;
  keys2: u64 = 0;
  keys3: u64 = 0;
  keys4: u64 = 0;
  keys5: u64 = 0;
  keys6: u64 = 0;
  /** A Socket follows. */
}

/** A program being interpreted: all that is needed to stop before any instruction and to go on later. */
@unmanaged export class Interpreter {
  /** The next instruction (slot in cpu.program). */
  slot: u32 = 0;
  /** How deep in bpf-to-bpf calls, in all and in cpu.program alone (a tail call starts anew); 0 outside any. */
  depth: u32 = 0;
  level: u32 = 0;
  /** INTERPRETER_RUNNING or INTERPRETER_EXITED. */
  status: u32 = 0;
  /** may_goto's iterations left in this function. */
  loops: u32 = 0;
  /** A helper runs a function of the program: it has ended when the depth is below this. */
  floor: u32 = 0;
  /** Instructions executed. */
  steps: u64 = 0;
  /** Sixteen registers of 8 bytes (an encoding can name that many), r0 first, then the saved frames. */
}

/** What a bpf-to-bpf call saves, the outermost first, after the registers of an Interpreter. */
@unmanaged export class InterpreterFrame {
  program: usize = 0;
  /** The instruction after the call. */
  slot: u32 = 0;
  level: u32 = 0;
  loops: u32 = 0;
  r6: u64 = 0;
  r7: u64 = 0;
  r8: u64 = 0;
  r9: u64 = 0;
}

// Sizes and offsets for TypeScript. `Class_field` is offsetof, `Class_size` is the size.
export const Cpu_size: u32 = offsetof<Cpu>();
export const Cpu_id: u32 = offsetof<Cpu>('id');
export const Cpu_program: u32 = offsetof<Cpu>('program');
export const Cpu_ctx: u32 = offsetof<Cpu>('ctx');
export const Cpu_packetStart: u32 = offsetof<Cpu>('packetStart');
export const Cpu_packetEnd: u32 = offsetof<Cpu>('packetEnd');
export const Cpu_stackStart: u32 = offsetof<Cpu>('stackStart');
export const Cpu_stackEnd: u32 = offsetof<Cpu>('stackEnd');
export const Cpu_tailCalls: u32 = offsetof<Cpu>('tailCalls');
export const Cpu_budget: u32 = offsetof<Cpu>('budget');
export const Cpu_faultKind: u32 = offsetof<Cpu>('faultKind');
export const Cpu_faultSlot: u32 = offsetof<Cpu>('faultSlot');
export const Cpu_faultProgram: u32 = offsetof<Cpu>('faultProgram');
export const Cpu_faultAddress: u32 = offsetof<Cpu>('faultAddress');
export const Cpu_faultSize: u32 = offsetof<Cpu>('faultSize');
export const Cpu_frameIndex: u32 = offsetof<Cpu>('frameIndex');
export const Cpu_arg1: u32 = offsetof<Cpu>('arg1');
export const Cpu_result: u32 = offsetof<Cpu>('result');
export const Cpu_redirectIfindex: u32 = offsetof<Cpu>('redirectIfindex');
export const Cpu_redirectFlags: u32 = offsetof<Cpu>('redirectFlags');
export const Cpu_redirectMap: u32 = offsetof<Cpu>('redirectMap');
export const Cpu_redirectIndex: u32 = offsetof<Cpu>('redirectIndex');
export const Cpu_frame: u32 = offsetof<Cpu>('frame');
export const Cpu_random: u32 = offsetof<Cpu>('random');

export const Cpu_interpreter: u32 = offsetof<Cpu>('interpreter');

export const Interpreter_slot: u32 = offsetof<Interpreter>('slot');
export const Interpreter_depth: u32 = offsetof<Interpreter>('depth');
export const Interpreter_level: u32 = offsetof<Interpreter>('level');
export const Interpreter_status: u32 = offsetof<Interpreter>('status');
export const Interpreter_steps: u32 = offsetof<Interpreter>('steps');
/** r0; the others follow, 8 bytes each. */
export const Interpreter_registers: u32 = offsetof<Interpreter>();
/** The first InterpreterFrame. */
export const Interpreter_frames: u32 = offsetof<Interpreter>() + 128;
export const InterpreterFrame_size: u32 = offsetof<InterpreterFrame>();
export const InterpreterFrame_program: u32 = offsetof<InterpreterFrame>('program');
export const InterpreterFrame_slot: u32 = offsetof<InterpreterFrame>('slot');
export const InterpreterFrame_r6: u32 = offsetof<InterpreterFrame>('r6');

export const Program_size: u32 = offsetof<Program>();
export const Program_id: u32 = offsetof<Program>('id');
export const Program_insns: u32 = offsetof<Program>('insns');
export const Program_insnCount: u32 = offsetof<Program>('insnCount');
export const Program_maps: u32 = offsetof<Program>('maps');
export const Program_mapCount: u32 = offsetof<Program>('mapCount');
export const Program_entry: u32 = offsetof<Program>('entry');
export const Program_ctxSize: u32 = offsetof<Program>('ctxSize');
export const Program_ctxWritable: u32 = offsetof<Program>('ctxWritable');
export const Program_callback: u32 = offsetof<Program>('callback');
export const Program_arena: u32 = offsetof<Program>('arena');
export const Program_kfuncs: u32 = offsetof<Program>('kfuncs');
export const Program_trusted: u32 = offsetof<Program>('trusted');
export const Program_startField: u32 = offsetof<Program>('startField');
export const Program_endField: u32 = offsetof<Program>('endField');
export const Program_dataField: u32 = offsetof<Program>('dataField');
export const Program_resultField: u32 = offsetof<Program>('resultField');
export const Program_redirectField: u32 = offsetof<Program>('redirectField');
export const Program_objectsField: u32 = offsetof<Program>('objectsField');
export const Program_objectsEnd: u32 = offsetof<Program>('objectsEnd');

export const BpfMap_size: u32 = offsetof<BpfMap>();
export const BpfMap_type: u32 = offsetof<BpfMap>('type');
export const BpfMap_id: u32 = offsetof<BpfMap>('id');
export const BpfMap_keySize: u32 = offsetof<BpfMap>('keySize');
export const BpfMap_valueSize: u32 = offsetof<BpfMap>('valueSize');
export const BpfMap_maxEntries: u32 = offsetof<BpfMap>('maxEntries');
export const BpfMap_flags: u32 = offsetof<BpfMap>('flags');
export const BpfMap_values: u32 = offsetof<BpfMap>('values');
export const BpfMap_elementSize: u32 = offsetof<BpfMap>('elementSize');
export const BpfMap_valueOffset: u32 = offsetof<BpfMap>('valueOffset');
export const BpfMap_length: u32 = offsetof<BpfMap>('length');
export const BpfMap_cpuStride: u32 = offsetof<BpfMap>('cpuStride');
export const BpfMap_access: u32 = offsetof<BpfMap>('access');
export const BpfMap_count: u32 = offsetof<BpfMap>('count');
export const BpfMap_buckets: u32 = offsetof<BpfMap>('buckets');
export const BpfMap_cpus: u32 = offsetof<BpfMap>('cpus');
export const BpfMap_extra: u32 = offsetof<BpfMap>('extra');
export const BpfMap_extraHigh: u32 = offsetof<BpfMap>('extraHigh');
export const BpfMap_state: u32 = offsetof<BpfMap>('state');

export const XdpFrame_size: u32 = offsetof<XdpFrame>();
export const XdpFrame_data: u32 = offsetof<XdpFrame>('data');
export const XdpFrame_dataEnd: u32 = offsetof<XdpFrame>('dataEnd');
export const XdpFrame_dataMeta: u32 = offsetof<XdpFrame>('dataMeta');
export const XdpFrame_ingressIfindex: u32 = offsetof<XdpFrame>('ingressIfindex');
export const XdpFrame_rxQueueIndex: u32 = offsetof<XdpFrame>('rxQueueIndex');
export const XdpFrame_egressIfindex: u32 = offsetof<XdpFrame>('egressIfindex');
export const XdpFrame_hardStart: u32 = offsetof<XdpFrame>('hardStart');
export const XdpFrame_hardEnd: u32 = offsetof<XdpFrame>('hardEnd');
export const XdpFrame_result: u32 = offsetof<XdpFrame>('result');
export const XdpFrame_redirectIfindex: u32 = offsetof<XdpFrame>('redirectIfindex');
export const XdpFrame_redirectFlags: u32 = offsetof<XdpFrame>('redirectFlags');

export const SkbFrame_context: u32 = offsetof<SkbFrame>('result');
/** With the socket behind it. */
export const SkbFrame_size: u32 = offsetof<SkbFrame>() + offsetof<Socket>();
export const SkbFrame_socket: u32 = offsetof<SkbFrame>();
export const SkbFrame_mark: u32 = offsetof<SkbFrame>('mark');
export const SkbFrame_queueMapping: u32 = offsetof<SkbFrame>('queueMapping');
export const SkbFrame_priority: u32 = offsetof<SkbFrame>('priority');
export const SkbFrame_ingressIfindex: u32 = offsetof<SkbFrame>('ingressIfindex');
export const SkbFrame_ifindex: u32 = offsetof<SkbFrame>('ifindex');
export const SkbFrame_cb: u32 = offsetof<SkbFrame>('cb0');
export const SkbFrame_data: u32 = offsetof<SkbFrame>('data');
export const SkbFrame_dataEnd: u32 = offsetof<SkbFrame>('dataEnd');
export const SkbFrame_dataMeta: u32 = offsetof<SkbFrame>('dataMeta');
export const SkbFrame_tstamp: u32 = offsetof<SkbFrame>('tstamp');
export const SkbFrame_wireLen: u32 = offsetof<SkbFrame>('wireLen');
export const SkbFrame_gsoSegs: u32 = offsetof<SkbFrame>('gsoSegs');
export const SkbFrame_gsoSize: u32 = offsetof<SkbFrame>('gsoSize');
export const SkbFrame_hwtstamp: u32 = offsetof<SkbFrame>('hwtstamp');
export const SkbFrame_len: u32 = offsetof<SkbFrame>('len');
export const SkbFrame_result: u32 = offsetof<SkbFrame>('result');
export const SkbFrame_redirectIfindex: u32 = offsetof<SkbFrame>('redirectIfindex');
export const SkbFrame_head: u32 = offsetof<SkbFrame>('head');
export const SkbFrame_tail: u32 = offsetof<SkbFrame>('tail');
export const SkbFrame_keys: u32 = offsetof<SkbFrame>('keys0');
export const SkbFrame_hash: u32 = offsetof<SkbFrame>('hash');
export const SkbFrame_summed: u32 = offsetof<SkbFrame>('summed');

/** A frame of programs without packets: the context (CONTEXT_LIMIT bytes at most), then what a run leaves behind. */
export const CONTEXT_LIMIT: u32 = 65536;
export const PlainFrame_result: u32 = CONTEXT_LIMIT;
export const PlainFrame_redirectIfindex: u32 = CONTEXT_LIMIT + 8;
/** Zero: where a packet would begin and end. */
export const PlainFrame_packet: u32 = CONTEXT_LIMIT + 12;
export const PlainFrame_size: u32 = CONTEXT_LIMIT + 16;

// What programs may do with a map's values (bits of BpfMap.access).
export const ACCESS_READ: u32 = 1;
export const ACCESS_WRITE: u32 = 2;

// Why a run ended early.
export const FAULT_NONE: u32 = 0;
export const FAULT_NULL: u32 = 1;
export const FAULT_BOUNDS: u32 = 2;
export const FAULT_READ_ONLY: u32 = 3;
export const FAULT_BUDGET: u32 = 4;
export const FAULT_ARGUMENT: u32 = 5;
export const FAULT_STACK: u32 = 6;

// Fields that the kernel looks after.
export const FIELD_LIST_HEAD: u32 = 1;
export const FIELD_RB_ROOT: u32 = 2;
export const FIELD_LIST_NODE: u32 = 3;
export const FIELD_RB_NODE: u32 = 4;
export const FIELD_REFCOUNT: u32 = 5;
export const FIELD_KPTR: u32 = 6;

export const KfuncCall_size: u32 = offsetof<KfuncCall>();
export const KfuncCall_number: u32 = offsetof<KfuncCall>('number');
export const KfuncCall_typeAt: u32 = offsetof<KfuncCall>('typeAt');
export const KfuncCall_type: u32 = offsetof<KfuncCall>('type');
export const KfuncCall_offsetAt: u32 = offsetof<KfuncCall>('offsetAt');
export const KfuncCall_offset: u32 = offsetof<KfuncCall>('offset');
export const ObjectType_size: u32 = offsetof<ObjectType>();
export const ObjectType_bytes: u32 = offsetof<ObjectType>('size');
export const ObjectType_fields: u32 = offsetof<ObjectType>('fields');
export const ObjectField_size: u32 = offsetof<ObjectField>();
export const ObjectField_kind: u32 = offsetof<ObjectField>('kind');
export const ObjectField_offset: u32 = offsetof<ObjectField>('offset');
export const ObjectField_type: u32 = offsetof<ObjectField>('type');
export const ObjectField_node: u32 = offsetof<ObjectField>('node');

/** Functions of programs have addresses from here on, 8 bytes a slot. */
export const CODE_BASE: u64 = 0xffffffffc0000000;

// Whether an interpreted program goes on.
export const INTERPRETER_RUNNING: u32 = 0;
export const INTERPRETER_EXITED: u32 = 1;

/** Bits of an argument in the packed form of what a helper's arguments must be (the first is the lowest). */
export const ARG_BITS: u32 = 5;
// What one must be.
export const ARG_ANYTHING: u32 = 0;
export const ARG_CTX: u32 = 1;
export const ARG_MAP: u32 = 2;
/** Readable memory of the map's key size (the map is the first argument). */
export const ARG_MAP_KEY: u32 = 3;
/** Readable memory of the map's value size. */
export const ARG_MAP_VALUE: u32 = 4;
/** Readable, writable memory whose size is the next argument. */
export const ARG_READ: u32 = 5;
export const ARG_WRITE: u32 = 6;
/** As ARG_READ, but null is allowed when the size is 0. */
export const ARG_READ_OR_NULL: u32 = 7;
/** A program array. */
export const ARG_PROG_ARRAY: u32 = 8;
/** Writable memory of the map's value size; for a Bloom filter, which only reads it, readable memory. */
export const ARG_MAP_VALUE_OUT: u32 = 9;
/** A ring buffer that programs write to; the data of one of its records that is being written. */
export const ARG_RINGBUF: u32 = 10;
export const ARG_RINGBUF_RECORD: u32 = 11;
/** A map that packets are redirected to. */
export const ARG_REDIRECT_MAP: u32 = 12;
/** A perf event array. */
export const ARG_PERF_EVENT_ARRAY: u32 = 13;
/** As ARG_WRITE, but null is allowed when the size is 0. */
export const ARG_WRITE_OR_NULL: u32 = 14;
/** So many writable bytes. */
export const ARG_WRITE_4: u32 = 15;
export const ARG_WRITE_8: u32 = 16;

/** Helper numbers are below this. */
export const HELPERS: u32 = 256;
/** How deep tail calls may go (MAX_TAIL_CALL_CNT). */
export const MAX_TAIL_CALLS: u32 = 33;
/** How many functions deep one program may be (MAX_CALL_FRAMES). */
export const MAX_CALL_FRAMES: u32 = 8;
/** Bytes of one stack frame (MAX_BPF_STACK). */
export const STACK_FRAME: u32 = 512;
/** Stack of a CPU: all programs of a tail-call chain, each as deep as it may be. */
export const STACK_SIZE: u32 = (MAX_TAIL_CALLS + 1) * MAX_CALL_FRAMES * STACK_FRAME;
/** may_goto's limit of iterations (BPF_MAX_LOOPS). */
export const MAX_LOOPS: u32 = 8388608;
/** Bytes of a page. */
export const PAGE: u32 = 4096;
/** Where the kernel's own struct sk_buff is shown, its SkbFrame lies so many bytes behind. */
export const SKB_BEHIND: u32 = 512;
// What programs see of a packet (SkbFrame.pointers): nothing, where it begins and ends, or that of a packet that is in no
// socket buffer yet.
export const VIEW_NOTHING: u32 = 0;
export const VIEW_PACKETS: u32 = 1;
export const VIEW_DISSECTOR: u32 = 2;
/** Room before the packet of a socket buffer (NET_SKB_PAD). */
export const SKB_HEADROOM: u32 = 64;
/** Room before a packet (XDP_PACKET_HEADROOM). */
export const XDP_HEADROOM: u32 = 256;
/** The end of a packet's page that is not the packet's: sizeof(struct skb_shared_info), aligned. */
export const XDP_TAILROOM: u32 = 320;
