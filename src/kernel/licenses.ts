// Licences under which a program may call helpers that are for GPL programs only (linux/license.h).

const COMPATIBLE = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

export const isGplCompatible = (license: string): boolean => COMPATIBLE.has(license);
