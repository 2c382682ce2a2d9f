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
];
