#![allow(missing_docs, clippy::all)]
use xpkg_formats::apk::index; use xpkg_formats::Limits; use xpkg_model::*;
use xpkg_formats::keys::Hash;
fn main(){ let a:Vec<String>=std::env::args().collect();
 if a[1]=="w" { 
  let ps:Vec<Package>=(0..25000u32).map(|i|{let mut p=Package::new(Ecosystem::Openwrt,format!("package-{i:05}"),format!("{}.{i}-r1",i%7)); p.arch="x86_64".into(); p.description=format!("number {i} of very many and some more words to make it long"); p.url=format!("https://example.org/{i}"); p.depends=(1..i%9).map(|n|Dependency::any(format!("package-{:05}",i/(n+1))).into()).collect(); p.provides=vec![Provide::versioned(format!("so:lib{i}.so.1"),"1")]; p.identity=Some(Identity::ApkSha256(Hash::Sha256.of(&i.to_le_bytes()).try_into().unwrap())); p}).collect();
  index::write_adb(&mut std::fs::File::create(&a[2]).unwrap(),"d",&ps,None).unwrap();
 } else { let t=std::time::Instant::now(); let mut o=index::open(std::fs::File::open(&a[2]).unwrap(),"x",&Limits::default()).unwrap(); let mut n=0; let i=o.read(Ecosystem::Openwrt,&mut |p|{n+=p.depends.len();Ok(())}).unwrap(); let s=std::fs::read_to_string("/proc/self/status").unwrap(); let l=s.lines().filter(|l|l.starts_with("VmHWM")).next().unwrap().to_owned(); println!("{} {n} {:?} {l}",i.count,t.elapsed()); } }
