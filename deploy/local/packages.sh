# Debian packages, each with the file that shows it is there.
packages_run=(
  postgresql-15:/usr/lib/postgresql/15/bin/initdb
  libturbojpeg0:/usr/lib/x86_64-linux-gnu/libturbojpeg.so.0
  libjemalloc2:/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
  dataset-fashion-mnist:/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
)
packages_test=(
  libopenblas0-pthread:/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3
  python3-torch:/usr/lib/python3/dist-packages/torch
  python3-torchvision:/usr/lib/python3/dist-packages/torchvision
  python3-pil:/usr/lib/python3/dist-packages/PIL
  python3-numpy:/usr/lib/python3/dist-packages/numpy
  python3-grpcio:/usr/lib/python3/dist-packages/grpc
  grpc-proto:/usr/share/grpc-proto/grpc/reflection/v1/reflection.proto
  protobuf-compiler:/usr/bin/protoc
  libprotobuf-dev:/usr/include/google/protobuf/descriptor.proto
  chromium:/usr/bin/chromium
  curl:/usr/bin/curl
  kubernetes-client:/usr/bin/kubectl
  nodejs:/usr/bin/node
  iproute2:/usr/sbin/ip
  gcc:/usr/bin/cc
  libc6-dev:/usr/include/stdio.h
  prometheus:/usr/bin/prometheus
  zsh:/usr/bin/zsh
  fish:/usr/bin/fish
  npm:/usr/bin/npm
)
packages_slurm=(
  slurm-wlm:/usr/sbin/slurmd
  munge:/usr/sbin/munged
)

install_packages() { # run | test | slurm
  local -n wanted=packages_$1
  local missing=() entry
  for entry in "${wanted[@]}"; do
    [ -e "${entry#*:}" ] || missing+=("${entry%%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}"
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || die "these Debian packages are missing, and there is no apt-get here: ${missing[*]}"
  quietly "updating the package lists" "${as_root[@]}" apt-get update
  quietly "installing ${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}
