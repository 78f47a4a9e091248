//! Package groups and environments that some release of Enterprise Linux or Fedora has: what a file is checked
//! against where no distribution is at hand. Not complete, so what is missing here is a warning only.

const ENVIRONMENTS: &str = "minimal-environment minimal server-product-environment graphical-server-environment \
    workstation-product-environment workstation-environment virtualization-host-environment custom-environment \
    infrastructure-server-environment file-print-server-environment cloud-server-environment web-server-environment \
    compute-node-environment developer-workstation-environment gnome-desktop-environment kde-desktop-environment \
    xfce-desktop-environment lxde-desktop-environment mate-desktop-environment cinnamon-desktop-environment \
    basic-desktop-environment cloud-bare-environment workstation-ostree-support-environment \
    server-product workstation-product";

const GROUPS: &str = "core base standard minimal development development-tools additional-devel anaconda-tools \
    backup-client backup-server base-x compat-libraries conflicts-appstream conflicts-baseos console-internet \
    container-management debugging desktop-debugging dial-up directory-client directory-server dns-server dotnet \
    eclipse emacs file-server fonts ftp-server gnome-desktop gnome-apps graphical-admin-tools graphics guest-agents \
    guest-desktop-agents ha ha-management hardware-monitoring hardware-support headless-management \
    identity-management-server infiniband input-methods internet-applications internet-browser iwl java-platform \
    kde-desktop large-systems legacy-unix load-balancer mail-server mainframe-access mariadb mariadb-client \
    multimedia network-file-system-client network-server network-tools networkmanager-submodules office-suite \
    performance perl-runtime perl-web php platform-devel platform-kvm platform-microsoft platform-vmware postgresql \
    postgresql-client print-client print-server python-web remote-desktop-clients remote-system-management \
    resilient-storage rpm-development-tools ruby-runtime rpm-tools scientific security-tools server server-hardware-support \
    server-platform server-platform-devel server-policy smart-card storage-client-multipath system-admin-tools \
    system-management system-tools tech-writing technical-writing text-internet turkeyaware virtualization \
    virtualization-client virtualization-headless virtualization-hypervisor virtualization-platform \
    virtualization-tools virtualization-host web-server web-servlet windows-domain-controller x11 c-development \
    d-development rust-development container-host domain-client workstation-product server-product haproxy \
    admin-tools basic-web-server smb-server basic-desktop editors sound-and-video authoring-and-publishing \
    base-graphical cloud-management cloud-server-core cloud-infrastructure compute-node desktop-platform \
    desktop-platform-devel nfs-server ruby-on-rails ostree-support";

/// Whether some release has a group of this identifier, or of this name written as in the group lists of old.
pub(super) fn is_group(name: &str) -> bool {
    has(GROUPS, name)
}

/// Whether some release has an environment of this identifier or name.
pub(super) fn is_environment(name: &str) -> bool {
    has(ENVIRONMENTS, name)
}

fn has(list: &str, name: &str) -> bool {
    // `Development Tools` and `development-tools` are one group.
    let wanted = name.to_lowercase().replace([' ', '_'], "-");
    list.split_whitespace().any(|known| known == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_identifier_and_by_name() {
        assert!(is_group("core") && is_group("Development Tools") && is_environment("minimal-environment"));
        assert!(!is_group("no-such-group") && !is_environment("core"));
    }
}
