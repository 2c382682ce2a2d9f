// Objects whose maps, variables and programs have types in TypeScript. Code that `skep gen skeleton FILE language ts` makes
// holds the object and its types; what it does is here.

import type { Bpf } from '../bpf/bpf.js';
import type { Value } from '../btf/value.js';
import { parseObject } from '../elf/object.js';
import type { CollectionSpec } from '../elf/spec.js';
import type { Collection } from './collection.js';
import type { Link } from './link.js';
import { type LoadOptions, load } from './load.js';
import type { LoadedMap } from './map.js';
import { getVariable, setVariable } from './variables.js';

/** A map whose keys and values have these types. It is a LoadedMap, seen through what the object says of it. */
export interface TypedMap<K, V>
  extends Omit<
    LoadedMap,
    'get' | 'set' | 'delete' | 'keys' | 'entries' | 'push' | 'pop' | 'peek' | 'mayHave'
  > {
  get(key: K): Promise<V | undefined>;
  set(key: K, value: V, flags?: number): Promise<void>;
  delete(key: K): Promise<boolean>;
  keys(): AsyncGenerator<K>;
  entries(): AsyncGenerator<[key: K, value: V]>;
  push(value: V, flags?: number): Promise<void>;
  pop(): Promise<V | undefined>;
  peek(): Promise<V | undefined>;
  mayHave(value: V): Promise<boolean>;
}

/** A variable of a loaded object. */
export interface TypedVariable<T> {
  get(): Promise<T>;
  /** Fails for a constant, which is fixed when the object is loaded. */
  set(value: T): Promise<void>;
}

/** What an object has, by name. */
export interface SkeletonTypes {
  maps: object;
  /** The type of each variable's value. */
  variables: object;
  programs: object;
}

/** An object in code: open it, set its variables, load it. */
export class Skeleton<T extends SkeletonTypes> {
  /** The object's name, which begins the names of its sections' maps. */
  readonly name: string;
  readonly #base64: string;

  /** `base64`: the object file. */
  constructor(name: string, base64: string) {
    this.name = name;
    this.#base64 = base64;
  }

  /** The object file. */
  get bytes(): Uint8Array {
    return Uint8Array.from(atob(this.#base64), (character) => character.charCodeAt(0));
  }

  /** Reads the object; nothing is in a kernel yet. */
  open(): OpenSkeleton<T> {
    return new OpenSkeleton<T>(this.name, parseObject(this.bytes));
  }

  /** Opens and loads it as it is. */
  async load(kernel: Bpf, options: LoadOptions = {}): Promise<LoadedSkeleton<T>> {
    return this.open().load(kernel, options);
  }
}

/** An object that was read: what its variables begin with may be changed, maps may be resized. */
export class OpenSkeleton<T extends SkeletonTypes> {
  readonly spec: CollectionSpec;
  /** What the variables begin with; set them to change that. */
  readonly variables: T['variables'];
  readonly #name: string;

  constructor(name: string, spec: CollectionSpec) {
    this.#name = name;
    this.spec = spec;
    this.variables = Object.defineProperties(
      {},
      Object.fromEntries(
        spec.variables
          .filter(({ linkage }) => linkage === 'global')
          .map((variable) => [
            variable.name,
            {
              enumerable: true,
              get: () => getVariable(spec, variable.name),
              set: (value: Value) => setVariable(spec, variable.name, value),
            },
          ]),
      ),
    );
  }

  /** Makes the maps and loads the programs. Throws a SkepError that says what a kernel refused, and why. */
  async load(kernel: Bpf, options: LoadOptions = {}): Promise<LoadedSkeleton<T>> {
    return new LoadedSkeleton<T>(await load(this.spec, kernel, { name: this.#name, ...options }));
  }
}

/** An object in a kernel. Give it back with `close`, or by `await using`. */
export class LoadedSkeleton<T extends SkeletonTypes> {
  readonly collection: Collection;
  /** By name; sections of variables by the section's name. */
  readonly maps: T['maps'];
  readonly variables: { readonly [Name in keyof T['variables']]: TypedVariable<T['variables'][Name]> };
  readonly programs: T['programs'];
  readonly #links: Link[] = [];

  constructor(collection: Collection) {
    this.collection = collection;
    const { variables } = collection;
    this.maps = Object.fromEntries(collection.maps) as T['maps'];
    this.programs = Object.fromEntries(collection.programs) as T['programs'];
    this.variables = Object.fromEntries(
      variables.names().map((name) => [
        name,
        {
          get: () => variables.get(name),
          set: (value: Value) => variables.set(name, value),
        },
      ]),
    ) as unknown as this['variables'];
  }

  /**
   * Attaches every program to what its section names, as long as this is open. Throws a SkepError for the first that
   * cannot be; those before it stay attached.
   */
  async attach(): Promise<readonly Link[]> {
    for (const program of this.collection.programs.values()) this.#links.push(await program.attach());
    return this.#links;
  }

  /** Ends what `attach` began. */
  async detach(): Promise<void> {
    for (const link of this.#links.splice(0).reverse()) await link.close();
  }

  async close(): Promise<void> {
    await this.detach();
    await this.collection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
