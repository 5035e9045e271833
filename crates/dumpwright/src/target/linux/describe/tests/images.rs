//! Modules and mappings of programs made for the purpose.

use super::*;

/// Opens a library, deletes it, and makes every kind of mapping that matters.
const MAPPINGS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static __thread char tls[5000] = "thread local";
static char bss[300000];
static void *file(const char *name, size_t len, size_t map) {
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, len)) abort();
    return mmap(0, map, PROT_READ, MAP_PRIVATE, fd, 0);
}
int main(int argc, char **argv) {
    void *lib = dlopen(argv[1], RTLD_NOW);
    if (!lib) { puts(dlerror()); return 1; }
    unlink(argv[1]);
    void *past_end = file("short", 5000, 5 * 4096);
    void *odd_name = file("odd\xff\nname (deleted)", 4096, 4096);
    int fd = open(argv[2], O_RDONLY);
    void *flat = mmap(0, 4096 * 3, PROT_READ, MAP_PRIVATE, fd, 0);
    char *secret = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(secret, 4096, MADV_DONTDUMP);
    void *shared = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int memfd = memfd_create("mem", 0);
    if (ftruncate(memfd, 4096)) abort();
    void *mem = mmap(0, 8192, 3, MAP_SHARED, memfd, 0);
    int zero = open("/dev/zero", O_RDWR);
    void *zeros = mmap(0, 4096, 3, MAP_PRIVATE, zero, 0);
    printf("ready %p %p %p %p %p %p %p %p %p %p\n", dlsym(lib, "in_library"), past_end, odd_name,
           flat, secret, shared, mem, zeros, (void *)tls, (void *)(bss + sizeof bss - 1));
    fflush(stdout);
    pause();
    return 0;
}
"#;

const LIBRARY: &str = "int in_library(void) { return 7; } char in_bss[100000];";

#[test]
fn every_kind_of_mapping_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let library = compile(
        folder.path(),
        "libfixture.so.1.2.3",
        LIBRARY,
        &["-shared", "-fPIC", "-Wl,-soname,libfixture.so.1"],
    );
    let flat = compile(folder.path(), "libflat.so", LIBRARY, &["-shared", "-fPIC"]);
    let program = compile(folder.path(), "mappings", MAPPINGS, &["-ldl"]);
    let child =
        Child::ready(Command::new(&program).arg(&library).arg(&flat).current_dir(folder.path()));
    std::fs::remove_file(&program).unwrap();
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);
    let at = |word| region(&snapshot, child.address(word));

    // Deleted binary and library keep their names and ids, and can be opened.
    assert_eq!(Path::new(&snapshot.modules[0].path), program);
    let deleted = module(&snapshot, "/libfixture.so.1.2.3");
    assert_eq!(deleted.version, Some([1, 2, 3, 0]));
    assert!(matches!(&deleted.debug_id, DebugId::ElfBuildId(id) if id.len() == 20));
    let Backing::Image(index) = at(0).backing else { panic!("{:?}", at(0)) };
    assert_eq!(snapshot.modules[index].base, deleted.base);
    let maps = Maps::read(&child.proc_dir(), &mut Vec::new()).unwrap();
    match ModuleFiles::of(child.proc_dir(), maps.into()).open(deleted) {
        Ok(mut file) => {
            let mut magic = [0; 4];
            file.read_exact(&mut magic).unwrap();
            assert_eq!(magic, object::elf::ELFMAG);
        }
        // Only a privileged dumper may follow the links of map_files.
        Err(error) => assert!(!rustix::process::geteuid().is_root(), "{error}"),
    }

    // A file that ends before its mapping.
    let past_end = at(1);
    assert_eq!(past_end.backed_end, past_end.range.start + 2 * 4096);
    assert_eq!((past_end.backing, past_end.absent), (Backing::File, Absent::File));
    let name = |region: &Region| snapshot.mapping_name(region.range.start);
    let odd = name(&at(2));
    assert!(odd.ends_with("odd\u{fffd}\\012name (deleted)"), "{odd:?}");
    // A library mapped as data is no module.
    assert_eq!(at(3).backing, Backing::File);
    assert!(!paths(&snapshot).iter().any(|p| p.ends_with("libflat.so")));
    assert_eq!(at(4).access, Access::DontDump);
    assert_eq!(region(&snapshot, child.address(4) + 4096).access, Access::Normal);
    assert_eq!((at(5).shared, at(5).absent), (true, Absent::File));
    assert!(name(&at(6)).starts_with("/memfd:mem"));
    assert_eq!(at(6).backed_end, at(6).range.start + 4096);
    assert_eq!((at(7).backing, at(7).absent), (Backing::Anonymous, Absent::Zero));
    assert_eq!(at(7).access, Access::Normal);
    // The tail of .bss is the executable's.
    assert_eq!(at(9).backing, Backing::Image(0));
    assert!(snapshot.modules[0].segments.iter().any(|s| s.range.contains(child.address(9))));

    for name in ["[vvar]", "[vsyscall]"] {
        for region in snapshot.regions.iter().filter(|r| &*r.name == name) {
            assert_eq!(region.access, Access::Forbidden);
        }
    }
    let vdso = snapshot.regions.iter().find(|r| &*r.name == "[vdso]").unwrap();
    assert_eq!(vdso.access, Access::Normal);
    for pair in snapshot.regions.iter().collect::<Vec<_>>().windows(2) {
        assert!(pair[0].range.end <= pair[1].range.start);
    }
}

#[test]
fn a_soname_that_is_the_same_file_names_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["-shared", "-fPIC", "-Wl,-soname,libfixture.so.1", "-Wl,--build-id=none"];
    let library = compile(folder.path(), "libfixture.so.1.2.3", LIBRARY, &options);
    let link = folder.path().join("libfixture.so.1");
    std::os::unix::fs::symlink("libfixture.so.1.2.3", &link).unwrap();
    let script =
        "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('ready', flush=True); input()";
    let child = Child::ready(Command::new("python3").args(["-c", script]).arg(&library));
    let snapshot = snapshot_of(&child);
    let module = module(&snapshot, "/libfixture.so.1");
    assert_eq!(Path::new(&module.path), link);
    assert_eq!(module.version, Some([1, 2, 3, 0]), "of the longer name");
    // Without a build id it has Breakpad's stand-in.
    assert!(matches!(&module.debug_id, DebugId::ElfBuildId(id) if id.len() == 16));
}

#[test]
fn a_static_program_is_a_module_without_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"#include <stdio.h>
        #include <unistd.h>
        int main(void) { puts("ready"); fflush(stdout); pause(); return 0; }"#;
    for (name, options) in [("static", ["-static"]), ("static-pie", ["-static-pie"])] {
        let program = compile(folder.path(), name, source, &options);
        let child = Child::ready(&mut Command::new(&program));
        let snapshot = snapshot_of(&child);
        assert_eq!(snapshot.soft_errors, [], "{name}");
        assert_eq!(snapshot.modules.len(), 2, "{:?}", paths(&snapshot));
        assert_eq!(Path::new(&snapshot.modules[0].path), program);
        // A static PIE relocates itself and may leave a list of itself and the vDSO.
        let listed = snapshot.dso_debug.map_or(0, |debug| debug.entries.len());
        assert!(listed <= if name == "static-pie" { 2 } else { 0 }, "{name}: {listed}");
        assert!(matches!(snapshot.modules[0].debug_id, DebugId::ElfBuildId(_)));
    }
}

#[test]
fn segments_of_modules_are_mapped_as_they_say() {
    let child = Child::ready(
        Command::new("python3").args(["-c", "import ssl; print('ready', flush=True); input()"]),
    );
    let snapshot = snapshot_of(&child);
    assert!(snapshot.modules.len() > 5);
    for (index, module) in snapshot.modules.iter().enumerate() {
        for segment in &module.segments {
            let region = region(&snapshot, segment.range.start);
            assert_eq!(region.backing, Backing::Image(index), "{} {}", module.path, segment.range);
            if segment.protection.contains(Protection::EXECUTE) {
                assert!(region.protection.contains(Protection::EXECUTE), "{}", module.path);
            }
        }
        assert!(!module.headers.is_empty(), "{}", module.path);
    }
    let linked = &snapshot.dso_debug.as_ref().unwrap().entries;
    assert_eq!(linked.len(), snapshot.modules.len());
}

#[test]
fn a_program_started_through_the_dynamic_linker_is_still_described() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"#include <stdio.h>
        #include <unistd.h>
        int main(void) { puts("ready"); fflush(stdout); pause(); return 0; }"#;
    let program = compile(folder.path(), "indirect", source, &[]);
    let headers = tool("readelf", &["-lW".as_ref(), program.as_os_str()]);
    let interpreter = headers.split("interpreter: ").nth(1).unwrap().split(']').next().unwrap();
    let child = Child::ready(Command::new(interpreter).arg(&program));
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);
    module(&snapshot, "/indirect");
    module(&snapshot, "/libc.so.6");
    assert!(snapshot.modules[0].path.contains("ld-linux"), "the kernel's executable first");
    assert!(snapshot.dso_debug.unwrap().entries.len() >= 3);
}

/// Loads a library that lies inside an archive, opens one without any code,
/// and maps memory into the gap of one that is mapped in pieces.
const LOADER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static char *load(int fd, off_t at) {
    ElfW(Ehdr) e; ElfW(Phdr) p[32];
    pread(fd, &e, sizeof e, at);
    pread(fd, p, sizeof *p * e.e_phnum, at + e.e_phoff);
    char *base = mmap(0, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < e.e_phnum; i++) {
        if (p[i].p_type != PT_LOAD) continue;
        size_t skew = p[i].p_vaddr & 4095;
        int prot = (p[i].p_flags & PF_R ? PROT_READ : 0) | (p[i].p_flags & PF_X ? PROT_EXEC : 0);
        mmap(base + p[i].p_vaddr - skew, p[i].p_filesz + skew, prot, MAP_PRIVATE | MAP_FIXED, fd,
             at + p[i].p_offset - skew);
    }
    return base;
}
int main(int argc, char **argv) {
    char *inner = load(open(argv[1], O_RDONLY), 8192);
    void *data = dlopen(argv[2], RTLD_NOW);
    void *pieces = dlopen(argv[3], RTLD_NOW);
    if (!data || !pieces) { puts(dlerror()); return 1; }
    struct link_map *map;
    dlinfo(pieces, RTLD_DI_LINKMAP, &map);
    char *gap = (char *)map->l_addr + 0x100000;
    if (mmap(gap, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != gap) abort();
    printf("ready %p %p %p %p\n", inner, dlsym(data, "table"), (void *)gap,
           dlsym(pieces, "in_library"));
    fflush(stdout);
    pause();
    return 0;
}
"#;

#[test]
fn images_in_archives_without_code_and_in_pieces_are_modules() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let inner = compile(at, "inner", LIBRARY, &["-shared", "-fPIC", "-Wl,-soname,libinner.so.2"]);
    let archive = at.join("archive.zip");
    let padding = vec![b'P'; 8192];
    std::fs::write(&archive, [padding, std::fs::read(inner).unwrap()].concat()).unwrap();
    let table = "const char table[9000] = {1};";
    let data =
        compile(at, "libdata.so", table, &["-shared", "-fPIC", "-nostdlib", "-Wl,-z,norelro"]);
    let options = ["-shared", "-fPIC", "-Wl,-z,max-page-size=0x200000", "-Wl,-z,separate-code"];
    let pieces = compile(at, "libpieces.so", LIBRARY, &options);
    let program = compile(at, "loader", LOADER, &["-ldl"]);
    let child = Child::ready(Command::new(&program).args([&archive, &data, &pieces]));
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);

    let inner = module(&snapshot, "/archive.zip/libinner.so.2");
    assert_eq!(inner.base, child.address(0));
    assert_eq!(inner.version, Some([2, 0, 0, 0]));
    assert!(matches!(inner.debug_id, DebugId::ElfBuildId(_)));
    assert!(inner.headers.iter().map(|r| r.len()).sum::<u64>() > 200);

    let headers = tool("readelf", &["-lW".as_ref(), data.as_os_str()]);
    assert!(!headers.contains("R E "), "the fixture has code after all: {headers}");
    let data = module(&snapshot, "/libdata.so");
    assert!(data.range().contains(child.address(1)));

    let pieces = module(&snapshot, "/libpieces.so");
    assert!(pieces.size > 0x20_0000, "to the end of its last segment: {:#x}", pieces.size);
    let gap = region(&snapshot, child.address(2));
    assert!(pieces.range().contains(gap.range.start));
    assert_eq!((gap.backing, gap.allocation_base), (Backing::Anonymous, gap.range.start));
    let Backing::Image(index) = region(&snapshot, child.address(3)).backing else {
        panic!("code is not of an image")
    };
    assert_eq!(snapshot.modules[index].path, pieces.path);
}
