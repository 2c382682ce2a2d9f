// The public names of the object reader.

export { BtfEditor } from './btf-edit.js';
export { ElfFile } from './file.js';
export { type ParseOptions, parseObject } from './object.js';
export { explainUnknownSection, looselyNamed, parseSectionName, sectionDefinitions } from './sections.js';
export type * from './spec.js';
export { linkObjects, type ObjectToLink } from './static-link/index.js';
