// What the verifier knows of a register, said in plain words: `scalar(smin=0,smax=umax=255)` is a number from 0 to 255.

const POINTERS: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/^ctx\b/, 'the context'],
  [/^fp(\d+)?$/, 'the address of the stack'],
  [/^fp-(\d+)$/, 'an address on the stack, $1 bytes below its top'],
  [/^fp(?:\[\d+\])?/, 'an address on the stack'],
  [/^map_ptr\(.*?map=([^,)]+)/, "the map '$1' itself"],
  [
    /^map_value_or_null\(.*?map=([^,)]+)/,
    "NULL or a pointer to a value of map '$1': it was not compared with NULL",
  ],
  [/^map_value\(.*?map=([^,)]+).*?vs=(\d+)/, "a pointer into a value of map '$1' ($2 bytes)"],
  [/^map_key/, 'a pointer to a key of a map'],
  [/^pkt_end/, 'the end of the packet'],
  [/^pkt_meta/, 'a pointer to the metadata before the packet'],
  [/^sock_or_null/, 'NULL or a socket: it was not compared with NULL'],
  [/^(\w*sock\w*)_or_null/, 'NULL or a $1: it was not compared with NULL'],
  [/^(sock_common|sock|tcp_sock|xdp_sock)\b/, 'a socket ($1)'],
  [/^ringbuf_mem_or_null/, 'NULL or memory of a ring buffer: it was not compared with NULL'],
  [/^ringbuf_mem/, 'memory of a ring buffer'],
  [/^(?:rdonly_)?\w*mem_or_null/, 'NULL or memory: it was not compared with NULL'],
  [/^rdonly_(?:untrusted_)?mem/, 'memory that may only be read'],
  [/^mem\b.*?sz=(\d+)/, 'memory of $1 bytes'],
  [/^mem\b/, 'memory'],
  [/^buf\b|^rdonly_buf|^rdwr_buf/, 'a buffer'],
  [/^func\b/, 'the address of a function'],
  [/^arena/, 'an address in an arena'],
  [/^flow_keys/, 'the flow keys'],
  [/^dynptr|^const_dynptr/, 'a dynptr'],
  [
    /^untrusted_ptr_(or_null_)?(\w*)/,
    'a pointer to a $2 of the kernel that may not be valid any more (untrusted)',
  ],
  [/^(?:\w+_)?ptr_or_null_(\w+)/, 'NULL or a pointer to a $1: it was not compared with NULL'],
  [/^rcu_ptr_(\w+)/, 'a pointer to a $1, good until the RCU section ends'],
  [/^trusted_ptr_(\w+)/, 'a pointer to a $1 of the kernel (trusted)'],
  [/^(?:\w+_)?ptr_(\w+)/, 'a pointer to a $1'],
  [/^percpu_/, 'the address of a per-CPU variable'],
];

/** A number as the log writes it: decimal, or hexadecimal when it is large. */
function numberOf(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  try {
    return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  } catch {
    return undefined;
  }
}

/** Bounds in `scalar(smin=0,smax=umax=255,...)`; several names may share a value. */
function boundsOf(text: string): Map<string, bigint> {
  const bounds = new Map<string, bigint>();
  for (const part of text.split(',')) {
    const names = part.split('=');
    const value = numberOf(names.pop());
    if (value !== undefined) for (const name of names) bounds.set(name, value);
  }
  return bounds;
}

function describeScalar(inside: string): string {
  const bounds = boundsOf(inside.replace(/,?var_off=\(.*?\)/, ''));
  // The log writes signed bounds that are large as 64-bit patterns.
  const signed = (name: string): bigint | undefined => {
    const value = bounds.get(name);
    return value === undefined ? undefined : BigInt.asIntN(64, value);
  };
  const smin = signed('smin');
  const smax = signed('smax');
  if (smin !== undefined && smax !== undefined) return `a number from ${smin} to ${smax}`;
  const umin = bounds.get('umin') ?? 0n;
  const most = bounds.get('umax');
  // Without a sign, and nothing else: that is no bound.
  const umax = most === undefined || most >= 0x7fff_ffff_ffff_ffffn ? undefined : most;
  if (umax !== undefined) return `a number from ${umin} to ${umax} (unsigned)`;
  if (smin !== undefined) return `a number of at least ${smin}`;
  if (smax !== undefined) return `a number of at most ${smax}, perhaps negative`;
  if (umin > 0n) return `a number of at least ${umin} (unsigned)`;
  return 'any number: nothing is known of it';
}

/** What the log says of a register, for a person; undefined: it holds nothing that may be read. */
export function describeValue(known: string | undefined): string {
  if (known === undefined) return 'nothing: it was never set, or a call took it';
  const text = known.replace(/^P(?=[a-z\d-])/, '');
  const scalar = /^(?:scalar|inv)(?:\((.*)\))?$/.exec(text);
  if (scalar) return describeScalar(scalar[1] ?? '');
  if (/^-?(?:\d+|0x[0-9a-f]+)$/.test(text)) return `the number ${text}`;
  const packet = /^pkt\((.*)\)$/.exec(text);
  if (packet) {
    const parts = boundsOf((packet[1] ?? '').replace(/,?var_off=\(.*?\)/, ''));
    const off = parts.get('off') ?? 0n;
    const range = parts.get('r') ?? 0n;
    const where = off === 0n ? 'a pointer to the packet' : `a pointer ${off} bytes into the packet`;
    return range === 0n
      ? `${where}, not compared with data_end yet`
      : `${where}, which is known to have ${range} bytes`;
  }
  for (const [pattern, words] of POINTERS) {
    const match = pattern.exec(text);
    if (match) return words.replace(/\$(\d)/g, (_, i) => match[Number(i)] ?? '');
  }
  return text;
}
