//! What may be typed of the commands that work on package files: `package`, `index`, `convert`. Parsing only.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// A package format, as clap reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// opkg: OpenWrt before 25.12
    Ipk,
    /// apk 2: Alpine
    Apk2,
    /// apk 3: OpenWrt since 25.12
    Apk3,
}

/// What kind of key is made.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KeyKind {
    /// NIST P-256: signs apk 3 packages and indexes
    P256,
    /// Ed25519 in usign's files: signs opkg's feeds
    Usign,
    /// What apk 2 needs; xpkg signs with RSA keys but makes none
    Rsa,
}

#[derive(Debug, Subcommand)]
pub enum Package {
    /// Make a package from a description and a directory
    #[command(
        after_help = "Examples:\n  xpkg package build hello/ --format apk3 --sign ec.key -o out/\n  xpkg package build hello.toml --format ipk -o out/"
    )]
    Build {
        /// The description (TOML), or a directory that holds it as `package.toml` and the payload in `root/`
        from: PathBuf,
        /// Which format to write
        #[arg(long, value_enum)]
        format: Format,
        /// Sign it with this secret key (apk2: RSA; apk3: P-256 or RSA; ipk: its feed is signed instead)
        #[arg(long, value_name = "KEY")]
        sign: Option<PathBuf>,
        /// File, or directory (default: the current one)
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show what package files say and hold
    #[command(after_help = "Example:\n  xpkg package inspect --json jq-1.7.1-r0.apk")]
    Inspect {
        /// Package files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Show the scripts' texts
        #[arg(long)]
        scripts: bool,
    },
    /// Check every digest, and the signature by one of the keys named
    #[command(after_help = "Example:\n  xpkg package verify --keys /etc/apk/keys jq-1.7.1-r0.apk")]
    Verify {
        /// Package files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Public key, or directory of public keys; may be given more than once. Without it, signatures are not looked at
        #[arg(long, value_name = "FILE|DIR")]
        keys: Vec<PathBuf>,
    },
    /// Lay a package's files out in an empty directory
    #[command(after_help = "Example:\n  xpkg package extract jq-1.7.1-r0.apk -o jq/")]
    Extract {
        /// Package file
        file: PathBuf,
        /// The directory: empty, or not there yet
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// The maintainer scripts too, as `.pre-install` and the like
        #[arg(long)]
        scripts: bool,
    },
    /// Sign a package anew; its earlier signatures go, its identity stays
    #[command(after_help = "Example:\n  xpkg package sign --key me.rsa jq-1.7.1-r0.apk")]
    Sign {
        /// Package files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Secret key (apk2: RSA; apk3: P-256 or RSA)
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// Write here instead of in place
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  xpkg index out/ --format apk3 --sign ec.key --description \"my feed\"\n  xpkg index out/ --format ipk --sign usign.key"
)]
pub struct Index {
    /// Directory of packages
    pub dir: PathBuf,
    /// apk2: APKINDEX.tar.gz; apk3: packages.adb; ipk: Packages, .gz, .manifest and .sig
    #[arg(long, value_enum)]
    pub format: Format,
    /// Sign it with this secret key (apk2: RSA; apk3: P-256 or RSA; ipk: usign)
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// What apk's index says of itself
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
    /// apk2: list every package under this architecture word. apk looks for a package in the directory of its word, so a
    /// `noarch` one in `x86_64/` is found only when it is listed as `x86_64`
    #[arg(long, value_name = "WORD")]
    pub rewrite_arch: Option<String>,
    /// Write it into this directory instead
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Packages that are converted together know what they provide each other: convert libraries with their programs.\n\nExamples:\n  xpkg convert jq-1.7.1-r0.apk oniguruma-6.9.9-r0.apk --to apk3 -o out/\n  xpkg convert lua_5.1.5-3_x86_64.ipk --to apk2 --sign me.rsa --strict"
)]
pub struct Convert {
    /// Package files
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Into which format
    #[arg(long, value_enum)]
    pub to: Format,
    /// Sign the results with this secret key (not for ipk)
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Directory, or file where there is one package (default: the current directory)
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Architecture word of the results, instead of the one that corresponds
    #[arg(long, value_name = "WORD")]
    pub arch: Option<String>,
    /// Refuse to lose anything
    #[arg(long)]
    pub strict: bool,
}
