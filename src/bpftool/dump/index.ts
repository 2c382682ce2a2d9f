// `prog dump`: what a program became in the kernel, as text, as JSON and as a graph; what its JIT made.

export { dumpVisual } from './graph.js';
export { dumpJited } from './jited.js';
export { drawPng, drawSvg } from './picture.js';
export { type DumpedProgram, readProgram } from './program.js';
export { KernelSymbols } from './symbols.js';
export { type DumpOptions, dumpXlated, type Listing } from './xlated.js';
