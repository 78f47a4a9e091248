//! The configuration we ship, compiled in: every file under `graphs/` of the source, by its path there.

/// Path under `graphs/` and text.
pub(super) const FILES: &[(&str, &str)] = &[
    ("default/cluster.xml", include_str!("../../graphs/default/cluster.xml")),
    ("nodes/base.xml", include_str!("../../graphs/nodes/base.xml")),
    ("nodes/client.xml", include_str!("../../graphs/nodes/client.xml")),
    ("nodes/compute.xml", include_str!("../../graphs/nodes/compute.xml")),
    ("nodes/development-runtime.xml", include_str!("../../graphs/nodes/development-runtime.xml")),
    ("nodes/development.xml", include_str!("../../graphs/nodes/development.xml")),
    ("nodes/frontend-service.xml", include_str!("../../graphs/nodes/frontend-service.xml")),
    ("nodes/hosts-file.xml", include_str!("../../graphs/nodes/hosts-file.xml")),
    ("nodes/login.xml", include_str!("../../graphs/nodes/login.xml")),
    ("nodes/nas.xml", include_str!("../../graphs/nodes/nas.xml")),
    ("nodes/networking.xml", include_str!("../../graphs/nodes/networking.xml")),
    ("nodes/package-source.xml", include_str!("../../graphs/nodes/package-source.xml")),
    ("nodes/partitioning.xml", include_str!("../../graphs/nodes/partitioning.xml")),
    ("nodes/report.xml", include_str!("../../graphs/nodes/report.xml")),
    ("nodes/shared-home.xml", include_str!("../../graphs/nodes/shared-home.xml")),
    ("nodes/ssh.xml", include_str!("../../graphs/nodes/ssh.xml")),
    ("nodes/time.xml", include_str!("../../graphs/nodes/time.xml")),
    ("nodes/web-server.xml", include_str!("../../graphs/nodes/web-server.xml")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_under_graphs_is_compiled_in() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs");
        let mut on_disk = BTreeSet::new();
        for folder in fs::read_dir(&base).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = folder.file_name().into_string().expect("UTF-8") + "/" + &file.file_name().to_string_lossy();
                on_disk.insert(name);
            }
        }
        let compiled_in: BTreeSet<String> = super::FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, compiled_in);
    }
}
