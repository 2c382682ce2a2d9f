// The words that a command line may begin with, in the order in which abbreviations are understood: `p` is `prog`.

export const OBJECT_NAMES = [
  'help',
  'batch',
  'prog',
  'map',
  'link',
  'cgroup',
  'perf',
  'net',
  'feature',
  'btf',
  'gen',
  'struct_ops',
  'iter',
  'token',
  'version',
] as const;

export type ObjectName = (typeof OBJECT_NAMES)[number];
