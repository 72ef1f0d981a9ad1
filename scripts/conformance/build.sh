#!/usr/bin/env bash
# Build Kubernetes' own end-to-end suite and the images that its conformance tests use, in the folder given.
#
# The source is Debian's (Kubernetes 1.20, the last one that Debian keeps whole); Go comes from apt. The suite names the
# images; here they are made of a small Debian and of what the same source holds, so no registry is needed. As root on
# Debian; about 15 minutes on 2 cores, once: what is there already is not built again.
set -euo pipefail
work=$(mkdir -p "$1" && cd "$1" && pwd)

source_url=http://deb.debian.org/debian/pool/main/k/kubernetes/kubernetes_1.20.5+really1.20.2.orig.tar.gz
source_sha256=b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc
tree=$work/go/src/k8s.io/kubernetes
go=/usr/lib/go-1.19/bin/go # the newest that this source is known to build with
export GOPATH=$work/go GOCACHE=$work/cache GO111MODULE=off CGO_ENABLED=0 DEBIAN_FRONTEND=noninteractive

missing=()
[ -x "$go" ] || missing+=(golang-1.19-go)
for program in curl debootstrap etcd busybox; do
  case $program in etcd) package=etcd-server ;; busybox) package=busybox-static ;; *) package=$program ;; esac
  command -v "$program" >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -d "$tree" ]; then
  echo "fetching the source"
  curl -fsS -o "$work/source.tar.gz" "$source_url"
  echo "$source_sha256  $work/source.tar.gz" | sha256sum --check --quiet
  mkdir -p "$tree.new" && tar -C "$tree.new" --strip-components=1 -xzf "$work/source.tar.gz" && mv "$tree.new" "$tree"
fi
# Kubernetes' own build embeds the manifests of its tests by a generator; here they are read from the tree.
cat >"$tree/test/e2e/generated/bindata.go" <<END
package generated

import (
	"os"
	"path/filepath"
)

func Asset(name string) ([]byte, error) { return os.ReadFile(filepath.Join("$tree", name)) }
func AssetNames() []string              { return nil }
END

built() { # built FILE PACKAGE: a program of the tree
  [ -x "$work/$1" ] || (echo "building $1" && cd "$tree" && "$go" build -o "$work/$1" "$2")
}
built agnhost ./test/images/agnhost
built nnp ./test/images/nonewprivs
built sample-apiserver ./vendor/k8s.io/sample-apiserver
[ -x "$work/e2e.test" ] || (echo "building e2e.test" && cd "$tree" && "$go" test -c -vet=off -o "$work/e2e.test" ./test/e2e)

if [ ! -e "$work/root.done" ]; then
  echo "making a small Debian"
  rm -rf "$work/root"
  debootstrap --variant=minbase --include=curl,dnsutils,iproute2,netcat-openbsd,procps bookworm "$work/root" >"$work/root.log"
  touch "$work/root.done"
fi
context=$work/context
rm -rf "$context" && mkdir -p "$context"
cp "$work"/{agnhost,nnp,sample-apiserver} "$(command -v etcd)" "$(command -v busybox)" "$context"
cp "$tree"/test/images/agnhost/porter/localhost.{crt,key} "$context"
docker image inspect wherry-conformance/debian >/dev/null 2>&1 ||
  tar -C "$work/root" -c . | docker import - wherry-conformance/debian >/dev/null

image() { # image NAME LINE…: the image that the suite calls NAME, from the lines of its Dockerfile
  local name=$1 tag
  shift
  for tag in $("$work/e2e.test" --list-images | grep -E "/$name:"); do
    docker image inspect "$tag" >/dev/null 2>&1 && continue
    printf '%s\n' "$@" >"$context/Dockerfile"
    DOCKER_BUILDKIT=0 docker build -q -t "$tag" "$context" >/dev/null 2>"$work/image.log" || { cat "$work/image.log" >&2; exit 1; }
    echo "made $tag"
  done
}
debian='FROM wherry-conformance/debian'
served='RUN mkdir -p /usr/local/apache2/htdocs && echo "<h1>It works!</h1>" > /usr/local/apache2/htdocs/index.html'
agnhost=("$debian" 'RUN mkdir -p /uploads' 'COPY localhost.crt localhost.key agnhost /' 'RUN ln -sf agnhost /agnhost-2')
image e2e-test-images/agnhost "${agnhost[@]}" 'EXPOSE 80 8080 8081 9376' 'ENTRYPOINT ["/agnhost"]' 'CMD ["pause"]'
image pause "${agnhost[@]}" 'ENTRYPOINT ["/agnhost"]' 'CMD ["pause"]'
image redis "${agnhost[@]}" 'EXPOSE 6379' 'CMD ["/agnhost", "pause"]'
for picture in nautilus kitten; do
  image $picture "${agnhost[@]}" "RUN echo '{\"image\": \"$picture.jpg\"}' > /data.json" 'EXPOSE 80' 'CMD ["/agnhost", "test-webserver"]'
done
image '(httpd|nginx)' "$debian" 'COPY busybox /bin/' "$served" 'EXPOSE 80' \
  'CMD ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/usr/local/apache2/htdocs"]'
image jessie-dnsutils "$debian"
image perl "$debian"
image nonroot "$debian" 'USER 1234' 'CMD ["id", "-u"]'
image nonewprivs "$debian" 'COPY nnp /usr/local/bin/' 'RUN chmod +s /usr/local/bin/nnp' 'CMD ["nnp"]'
image etcd "$debian" 'COPY etcd /usr/local/bin/'
image sample-apiserver "$debian" 'COPY sample-apiserver /' 'ENTRYPOINT ["/sample-apiserver"]'
image busybox 'FROM scratch' 'COPY busybox /bin/busybox' 'RUN ["/bin/busybox", "--install", "-s", "/bin"]' \
  'RUN mkdir -p /usr /tmp /etc && ln -s /bin /usr/bin && chmod 1777 /tmp && echo root:x:0:0:root:/root:/bin/sh > /etc/passwd' 'CMD ["sh"]'
