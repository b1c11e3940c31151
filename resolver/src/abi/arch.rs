//! Whether a file is made for the host's machine: class, byte order, machine, and the part of `e_flags` that is ABI.

use xpkg_model::elf::{Class, ElfFacts};
use xpkg_model::verdict::Severity;

/// EM_386
const I386: u16 = 3;
/// EM_MIPS
const MIPS: u16 = 8;
/// EM_PPC64
const PPC64: u16 = 21;
/// EM_ARM
const ARM: u16 = 40;
/// EM_X86_64
const X86_64: u16 = 62;
/// EM_AARCH64
const AARCH64: u16 = 183;
/// EM_RISCV
const RISCV: u16 = 243;
/// EM_LOONGARCH
const LOONGARCH: u16 = 258;

/// What a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arch {
    /// 32 or 64 bit.
    pub class: Class,
    /// Byte order.
    pub big_endian: bool,
    /// e_machine.
    pub machine: u16,
    /// e_flags.
    pub flags: u32,
    /// Hard float, where flags or the loader's name tell (arm, mips).
    pub hard_float: Option<bool>,
}

/// Why a file is not for this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// How bad.
    pub severity: Severity,
    /// Stable word: `architecture` or `float-abi`, `cpu-level` for a warning.
    pub code: &'static str,
    /// One sentence's end: `is for …, this root is …`.
    pub detail: String,
}

impl Arch {
    /// What a file says; its interpreter (or the loader's own path) tells the float ABI where flags do not.
    pub fn of(facts: &ElfFacts, interpreter: Option<&str>) -> Self {
        let interpreter = interpreter.or(facts.interpreter.as_deref());
        Self {
            class: facts.class,
            big_endian: facts.big_endian,
            machine: facts.machine,
            flags: facts.flags,
            hard_float: hard_float(facts.machine, facts.flags, interpreter),
        }
    }

    /// Words for people: `x86_64`, `arm, 32 bit, soft float`.
    pub fn describe(&self) -> String {
        let name = match self.machine {
            I386 => "x86",
            MIPS => "mips",
            PPC64 => "ppc64",
            ARM => "arm",
            X86_64 => "x86_64",
            AARCH64 => "aarch64",
            RISCV => "riscv",
            LOONGARCH => "loongarch",
            other => return format!("machine {other}, {} bit", self.bits()),
        };
        let order = match (self.machine, self.big_endian) {
            (MIPS | PPC64, false) => " little-endian",
            (X86_64 | I386 | RISCV | LOONGARCH, _) | (_, false) => "",
            (_, true) => " big-endian",
        };
        let float = match self.hard_float {
            Some(true) => ", hard float",
            Some(false) => ", soft float",
            None => "",
        };
        format!("{name}{order}, {} bit{float}", self.bits())
    }

    const fn bits(&self) -> u8 {
        match self.class {
            Class::Elf32 => 32,
            Class::Elf64 => 64,
        }
    }
}

fn hard_float(machine: u16, flags: u32, interpreter: Option<&str>) -> Option<bool> {
    let loader = interpreter.and_then(|path| path.rsplit('/').next());
    match machine {
        // EF_ARM_ABI_FLOAT_HARD and _SOFT are in linked files since binutils 2.24.
        ARM if flags & 0x400 != 0 => Some(true),
        ARM if flags & 0x200 != 0 => Some(false),
        ARM => match loader? {
            "ld-musl-armhf.so.1" | "ld-musl-armebhf.so.1" | "ld-linux-armhf.so.3" => Some(true),
            "ld-musl-arm.so.1" | "ld-musl-armeb.so.1" | "ld-linux.so.3" => Some(false),
            _ => None,
        },
        // mips keeps it outside e_flags; musl puts it into the loader's name.
        MIPS => loader.filter(|l| l.starts_with("ld-musl-mips")).map(|l| !l.contains("-sf")),
        _ => None,
    }
}

/// Compares a file with the host. `None`: made for it.
pub fn compare(host: &Arch, file: &Arch) -> Option<Mismatch> {
    let differ = |severity, code, why: &str| {
        let detail = format!("it is for {}{why}, this root is {}", file.describe(), host.describe());
        Some(Mismatch { severity, code, detail })
    };
    if (host.machine, host.class, host.big_endian) != (file.machine, file.class, file.big_endian) {
        // 64-bit kernels usually run the 32-bit programs of their family, given their own loader and libraries.
        let family = matches!((host.machine, file.machine), (X86_64, I386) | (AARCH64, ARM)) && !file.big_endian;
        return if family {
            differ(Severity::NeedsPrivateLayer, "architecture", " (runs only if the kernel takes 32-bit programs)")
        } else {
            differ(Severity::Impossible, "architecture", "")
        };
    }
    if let (Some(a), Some(b)) = (host.hard_float, file.hard_float)
        && a != b
    {
        // A soft-float root may lie on a CPU without a floating point unit: no loader of its own would help.
        let severity = if b { Severity::Impossible } else { Severity::NeedsPrivateLayer };
        return differ(severity, "float-abi", "");
    }
    let (a, b) = (host.flags, file.flags);
    match host.machine {
        ARM if versions_differ(a >> 24, b >> 24) => differ(Severity::Impossible, "architecture", " (another EABI)"),
        MIPS => compare_mips(a, b).and_then(|(severity, code, why)| differ(severity, code, why)),
        // EF_RISCV_FLOAT_ABI and EF_RISCV_RVE
        RISCV if a & 0xe != b & 0xe => differ(Severity::Impossible, "float-abi", " (another float ABI)"),
        // The base ABI modifier: soft, single, double.
        LOONGARCH if a & 7 != b & 7 => differ(Severity::Impossible, "float-abi", " (another float ABI)"),
        PPC64 if versions_differ(a & 3, b & 3) => differ(Severity::Impossible, "architecture", " (another ELF ABI)"),
        _ => None,
    }
}

/// Zero means "not said".
const fn versions_differ(a: u32, b: u32) -> bool {
    a != 0 && b != 0 && a != b
}

fn compare_mips(host: u32, file: u32) -> Option<(Severity, &'static str, &'static str)> {
    let impossible = |why| Some((Severity::Impossible, "architecture", why));
    // EF_MIPS_ABI2 (n32), EF_MIPS_ABI (o32 and its kin)
    if host & 0x20 != file & 0x20 || versions_differ(host & 0xf000, file & 0xf000) {
        return impossible(" (another calling convention)");
    }
    if host & 0x400 != file & 0x400 {
        return Some((Severity::Impossible, "float-abi", " (another NaN encoding)"));
    }
    let (level, wanted) = (host >> 28, file >> 28);
    // Release 6 (9: mips32r6, 10: mips64r6) dropped instructions of the releases before it.
    if (level >= 9) != (wanted >= 9) {
        return impossible(" (release 6 and earlier do not mix)");
    }
    (wanted > level).then_some((Severity::Warning, "cpu-level", " (for a newer CPU than the host's own files)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(machine: u16, class: Class, flags: u32, loader: &str) -> Arch {
        let hard_float = hard_float(machine, flags, Some(loader));
        Arch { class, big_endian: false, machine, flags, hard_float }
    }

    #[test]
    fn soft_float_arm_takes_no_hard_float() {
        let host = arch(ARM, Class::Elf32, 0x0500_0000, "/lib/ld-musl-arm.so.1");
        let file = arch(ARM, Class::Elf32, 0x0500_0400, "/lib/ld-musl-armhf.so.1");
        let found = compare(&host, &file).unwrap();
        assert_eq!((found.severity, found.code), (Severity::Impossible, "float-abi"));
        assert!(found.detail.contains("hard float") && found.detail.contains("soft float"), "{}", found.detail);
        assert_eq!(compare(&file, &file), None);
    }

    #[test]
    fn machines_and_families() {
        let host = arch(X86_64, Class::Elf64, 0, "");
        assert_eq!(compare(&host, &host), None);
        assert_eq!(compare(&host, &arch(AARCH64, Class::Elf64, 0, "")).map(|m| m.severity), Some(Severity::Impossible));
        assert_eq!(
            compare(&host, &arch(I386, Class::Elf32, 0, "")).map(|m| m.severity),
            Some(Severity::NeedsPrivateLayer)
        );
    }

    #[test]
    fn flags_of_mips_riscv_loongarch() {
        let mips = |flags| arch(MIPS, Class::Elf32, flags, "/lib/ld-musl-mipsel-sf.so.1");
        assert_eq!(compare(&mips(0x7000_1007), &mips(0x5000_1005)), None);
        assert_eq!(compare(&mips(0x5000_1005), &mips(0x7000_1005)).map(|m| m.code), Some("cpu-level"));
        assert_eq!(compare(&mips(0x7000_1005), &mips(0x9000_1005)).map(|m| m.code), Some("architecture"));
        assert_eq!(compare(&mips(0x7000_1005), &mips(0x7000_1405)).map(|m| m.code), Some("float-abi"));
        let riscv = |flags| arch(RISCV, Class::Elf64, flags, "");
        assert_eq!(compare(&riscv(0x5), &riscv(0x4)), None, "compressed instructions are no ABI");
        assert_eq!(compare(&riscv(0x5), &riscv(0x1)).map(|m| m.code), Some("float-abi"));
        let loong = |flags| arch(LOONGARCH, Class::Elf64, flags, "");
        assert_eq!(compare(&loong(0x43), &loong(0x41)).map(|m| m.code), Some("float-abi"));
    }
}
