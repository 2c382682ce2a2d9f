// The recorded cases that the emulated kernel rightly answers differently. Each says why, and what of it is compared all
// the same: `shape` leaves only that.

export interface Difference {
  cases: RegExp;
  reason: string;
  shape: (text: string) => string;
}

export const differing: readonly Difference[] = [
  {
    cases: /dump-jited(?!-file)/,
    reason: 'machine code is WebAssembly here, x86-64 there; the functions are compared',
    shape: (text) => {
      const plain = [...text.matchAll(/^(\S.*:)\n(bpf_prog_\w+:)$/gm)].map(
        ([, proto, name]) => `${proto} ${name}`,
      );
      const json = [...text.matchAll(/"proto": ?"([^"]*)",\s*"name": ?"([^"]*)"/g)].map(
        ([, proto, name]) => `${proto} ${name}`,
      );
      return [...plain, ...json].join('\n');
    },
  },
  {
    cases: /^maps-map-list\./,
    reason:
      'bpftool uses one structure for all maps, and Linux 6.18 leaves in it what a map does not have: maps without BTF ' +
      'are listed with the id of the map before',
    shape: (text) =>
      text.replaceAll(/,\s*"btf_id": ?\d+|^\tbtf_id \d+(\n| {2})/gm, (_, end) => (end === '  ' ? '\t' : '')),
  },
];
