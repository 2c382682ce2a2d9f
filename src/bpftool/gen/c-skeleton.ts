// A C header with which libbpf's users open, load and attach one object, and reach what is in it by name. Names of types,
// functions and members are those that code written for such headers uses.

import { Declarations } from './c-declarations.js';
import { byteLiterals, code } from './c-lines.js';
import { type DescribedMap, type DescribedObject, identifierOf } from './described.js';

/** `struct { ... } NAME;` with these members; nothing without any. */
export const group = (name: string, members: readonly string[]): string =>
  members.length === 0
    ? ''
    : `\tstruct {\n${members.map((member) => `\t\t${member};\n`).join('')}\t} ${name};\n`;

/** What stands around a header: the guard, and what it is made of. */
export function header(
  object: DescribedObject,
  guard: string,
  includes: readonly string[],
  body: string,
): string {
  const name = `__${object.name}_${guard}__`.toUpperCase();
  return [
    `/* Made from a BPF object by "gen ${guard === 'SKEL_H' ? 'skeleton' : 'subskeleton'}". Do not edit: make it anew. */`,
    `#ifndef ${name}\n#define ${name}\n`,
    ...includes.map((include) => `#include <${include}>`),
    '',
    body,
    `#endif /* ${name} */\n`,
  ].join('\n');
}

const isShared = (map: DescribedMap): boolean => map.variables !== undefined;

export function cSkeleton(object: DescribedObject): string {
  return header(
    object,
    'SKEL_H',
    ['errno.h', 'stdlib.h', 'bpf/libbpf.h'],
    [structure(object), opening(object), making(object), bytesOf(object), forCpp(object), sizes(object)].join(
      '\n',
    ),
  );
}

function structure({ name, maps, programs, spec }: DescribedObject): string {
  const declarations = spec.btf && new Declarations(spec.btf);
  const sections = maps.filter(isShared).map((map) => {
    const members = declarations?.members(map).map((member) => `\t\t${member};\n`) ?? [];
    return `\tstruct ${name}__${map.identifier} {\n${members.join('')}\t} *${map.identifier};\n`;
  });
  const methods = code(`
#ifdef __cplusplus
  static inline struct ${name} *open(const struct bpf_object_open_opts *opts = nullptr);
  static inline struct ${name} *open_and_load();
  static inline int load(struct ${name} *skel);
  static inline int attach(struct ${name} *skel);
  static inline void detach(struct ${name} *skel);
  static inline void destroy(struct ${name} *skel);
  static inline const void *elf_bytes(size_t *sz);
#endif
`);
  return [
    `#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1\n\nstruct ${name} {\n`,
    '\tstruct bpf_object_skeleton *skeleton;\n\tstruct bpf_object *obj;\n',
    group(
      'maps',
      maps.map(({ identifier }) => `struct bpf_map *${identifier}`),
    ),
    group(
      'progs',
      programs.map((program) => `struct bpf_program *${program}`),
    ),
    group(
      'links',
      programs.map((program) => `struct bpf_link *${program}`),
    ),
    ...sections,
    `${methods}};\n`,
  ].join('');
}

const opening = ({ name }: DescribedObject): string =>
  code(`/* Detaches, unloads and frees everything; NULL is fine. */
static inline void ${name}__destroy(struct ${name} *obj)
{
  if (obj == NULL)
    return;
  if (obj->skeleton != NULL)
    bpf_object__destroy_skeleton(obj->skeleton);
  free(obj);
}

static inline int ${name}__create_skeleton(struct ${name} *obj);

/* Reads the object. NULL and errno when that fails. */
static inline struct ${name} *${name}__open_opts(const struct bpf_object_open_opts *opts)
{
  struct ${name} *obj = (struct ${name} *)calloc(1, sizeof(struct ${name}));
  int result = obj == NULL ? -ENOMEM : ${name}__create_skeleton(obj);

  if (result == 0)
    result = bpf_object__open_skeleton(obj->skeleton, opts);
  if (result == 0)
    return obj;
  ${name}__destroy(obj);
  errno = -result;
  return NULL;
}

static inline struct ${name} *${name}__open(void)
{
  return ${name}__open_opts(NULL);
}

/* Makes the maps and loads the programs. 0, or a negative errno. */
static inline int ${name}__load(struct ${name} *obj)
{
  return bpf_object__load_skeleton(obj->skeleton);
}

static inline struct ${name} *${name}__open_and_load(void)
{
  struct ${name} *obj = ${name}__open();
  int result = obj == NULL ? 0 : ${name}__load(obj);

  if (result == 0)
    return obj;
  ${name}__destroy(obj);
  errno = -result;
  return NULL;
}

/* Attaches every program whose section says where to. 0, or a negative errno. */
static inline int ${name}__attach(struct ${name} *obj)
{
  return bpf_object__attach_skeleton(obj->skeleton);
}

static inline void ${name}__detach(struct ${name} *obj)
{
  bpf_object__detach_skeleton(obj->skeleton);
}

static inline const void *${name}__elf_bytes(size_t *sz);
`);

/** Room for the descriptions of `count` maps or programs; `-ENOMEM` without. */
export const room = (field: 'maps' | 'progs' | 'vars', type: string, count: number): string =>
  code(`
  skeleton->${field} = (struct ${type} *)calloc(${count}, sizeof(struct ${type}));
  if (skeleton->${field} == NULL)
    return -ENOMEM;
`);

function making({ name, maps, programs }: DescribedObject): string {
  const parts = [
    code(`static inline int ${name}__create_skeleton(struct ${name} *obj)
{
  struct bpf_object_skeleton *skeleton;

  skeleton = (struct bpf_object_skeleton *)calloc(1, sizeof(*skeleton));
  if (skeleton == NULL)
    return -ENOMEM;
  /* From here on it is freed with the object. */
  obj->skeleton = skeleton;
  skeleton->sz = sizeof(*skeleton);
  skeleton->name = "${name}";
  skeleton->obj = &obj->obj;
  skeleton->data = ${name}__elf_bytes(&skeleton->data_sz);
`),
  ];
  if (maps.length > 0) {
    parts.push(room('maps', 'bpf_map_skeleton', maps.length));
    maps.forEach((map, i) => {
      parts.push(code(`  skeleton->maps[${i}].name = "${map.name}";\n`));
      parts.push(code(`  skeleton->maps[${i}].map = &obj->maps.${map.identifier};\n`));
      if (isShared(map))
        parts.push(code(`  skeleton->maps[${i}].mmaped = (void **)&obj->${map.identifier};\n`));
    });
    parts.push(
      code(`  skeleton->map_skel_sz = sizeof(*skeleton->maps);\n  skeleton->map_cnt = ${maps.length};\n`),
    );
  }
  if (programs.length > 0) {
    parts.push(room('progs', 'bpf_prog_skeleton', programs.length));
    programs.forEach((program, i) => {
      parts.push(code(`  skeleton->progs[${i}].name = "${program}";\n`));
      parts.push(code(`  skeleton->progs[${i}].prog = &obj->progs.${program};\n`));
      parts.push(code(`  skeleton->progs[${i}].link = &obj->links.${program};\n`));
    });
    parts.push(
      code(
        `  skeleton->prog_skel_sz = sizeof(*skeleton->progs);\n  skeleton->prog_cnt = ${programs.length};\n`,
      ),
    );
  }
  return `${parts.join('')}\treturn 0;\n}\n`;
}

const bytesOf = ({ name, bytes }: DescribedObject): string =>
  code(`/* The object file itself. */
static inline const void *${name}__elf_bytes(size_t *sz)
{
  static const char elf[] __attribute__((aligned(8))) =
${byteLiterals(bytes, 2)};

  *sz = sizeof(elf) - 1;
  return elf;
}
`);

/** The functions as members, for C++. */
const forCpp = ({ name }: DescribedObject): string =>
  code(`#ifdef __cplusplus
struct ${name} *${name}::open(const struct bpf_object_open_opts *opts)
{
  return ${name}__open_opts(opts);
}

struct ${name} *${name}::open_and_load()
{
  return ${name}__open_and_load();
}

int ${name}::load(struct ${name} *skel)
{
  return ${name}__load(skel);
}

int ${name}::attach(struct ${name} *skel)
{
  return ${name}__attach(skel);
}

void ${name}::detach(struct ${name} *skel)
{
  ${name}__detach(skel);
}

void ${name}::destroy(struct ${name} *skel)
{
  ${name}__destroy(skel);
}

const void *${name}::elf_bytes(size_t *sz)
{
  return ${name}__elf_bytes(sz);
}
#endif
`);

/** A program and its user must agree about what types are: the sizes are checked when the header is compiled. */
function sizes({ name, maps, spec }: DescribedObject): string {
  const { btf } = spec;
  if (btf === undefined) return '';
  const checks = maps.flatMap(({ identifier, variables = [] }) =>
    variables.map((variable) => {
      const member = identifierOf(variable.name);
      const size = btf.sizeOf(variable.typeId);
      return code(
        `  _Static_assert(sizeof(s->${identifier}->${member}) == ${size}, "the size of ${member} differs");\n`,
      );
    }),
  );
  if (checks.length === 0) return '';
  return [
    '#ifdef __cplusplus\n#define _Static_assert static_assert\n#endif\n',
    `__attribute__((unused)) static inline void ${name}__assert(struct ${name} *s __attribute__((unused)))\n{\n`,
    ...checks,
    '}\n#ifdef __cplusplus\n#undef _Static_assert\n#endif\n',
  ].join('');
}
