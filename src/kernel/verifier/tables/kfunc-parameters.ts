// What the name of a kfunc's parameter says of it: Linux writes it behind two underscores (`local_type_id__k`).

/** How a parameter is checked, beside its type. */
export type KfuncParameter =
  /** Bytes of the memory that the parameter before it points to. */
  | 'size'
  /** The same, a known constant, which becomes the size of the memory returned. */
  | 'const-size'
  /** A known constant. */
  | 'constant'
  /** Memory that may be left out: NULL is allowed. */
  | 'optional'
  | 'nullable'
  /** Anything, not even initialised memory. */
  | 'ignored'
  /** A map. */
  | 'map'
  /** An object from bpf_obj_new, owned. */
  | 'allocated'
  /** An object with a bpf_refcount, owned or not. */
  | 'refcounted'
  /** A dynptr or iterator that is made here. */
  | 'uninit'
  /** A zero-terminated string in a frozen read-only map. */
  | 'const-str'
  /** Where the interrupt flags lie, on the stack. */
  | 'irq-flag'
  /** The kernel passes the program itself; what the caller passes does not count. */
  | 'program';

const suffixes: ReadonlyMap<string, KfuncParameter> = new Map<string, KfuncParameter>([
  ['sz', 'size'],
  ['szk', 'const-size'],
  ['k', 'constant'],
  ['opt', 'optional'],
  ['nullable', 'nullable'],
  ['ign', 'ignored'],
  ['map', 'map'],
  ['alloc', 'allocated'],
  ['refcounted_kptr', 'refcounted'],
  ['uninit', 'uninit'],
  ['str', 'const-str'],
  ['irq_flag', 'irq-flag'],
  ['prog', 'program'],
]);

/** What a parameter's name says; undefined: nothing. */
export function kfuncParameter(name: string): KfuncParameter | undefined {
  const at = name.lastIndexOf('__');
  return at > 0 ? suffixes.get(name.slice(at + 2)) : undefined;
}
