// Recorded cases whose commands are not written yet. SKEP_PENDING=1 runs them all the same.

const cases: readonly RegExp[] = [
  /^(help-)?(iter|struct_ops)/,
  /^cgroup-show/,
  /^(maps-map|hello-btf)-list/,
  /^(hello|maps)-dump-jited(?!-file)/,
  /^maps-dump-xlated-(touch|callee)(?!-visual\.(json|pretty))/,
  /^(maps-prog-list|bpffs-tree)/,
];

export const pending = (name: string): boolean => cases.some((one) => one.test(name));
