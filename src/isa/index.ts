// The instruction set: opcodes, the table of instructions, decode and encode, assembler, disassemblers, tag.

export * from './assemble.js';
export * from './check.js';
export * from './classify.js';
export * from './construct.js';
export * from './decode.js';
export * from './disassemble.js';
export * from './encode.js';
export * from './instruction.js';
export * from './opcodes.js';
export * from './table.js';
export * from './tag.js';
