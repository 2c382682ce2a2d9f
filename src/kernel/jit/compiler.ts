// Bytes -> WebAssembly.Module. Engines compile twice: quickly at first, with all optimisations once code is hot.
// Asking for optimised code at once needs the host's help (node/tiers.ts), so the host may bring its own.

export interface ModuleCompiler {
  /** As soon as possible; the engine may optimise it later by itself. */
  baseline(bytes: Uint8Array): WebAssembly.Module | Promise<WebAssembly.Module>;
  /** Optimised before it returns, where the host can do that. */
  optimized(bytes: Uint8Array): WebAssembly.Module | Promise<WebAssembly.Module>;
}

const source = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;

let compiler: ModuleCompiler = {
  baseline: (bytes) => new WebAssembly.Module(source(bytes)),
  optimized: (bytes) => new WebAssembly.Module(source(bytes)),
};

/** Replaces the compiler for all kernels from now on. */
export function useModuleCompiler(host: ModuleCompiler): void {
  compiler = host;
}

export const moduleCompiler = (): ModuleCompiler => compiler;

/**
 * Engines share compiled code between modules of the same bytes; a custom section makes the optimised one a
 * module of its own.
 */
export function marked(bytes: Uint8Array): Uint8Array {
  const section = [0x00, 0x05, 0x04, 0x74, 0x69, 0x65, 0x72];
  const out = new Uint8Array(bytes.length + section.length);
  out.set(bytes);
  out.set(section, bytes.length);
  return out;
}
