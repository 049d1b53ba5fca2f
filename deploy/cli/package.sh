#!/usr/bin/env bash
# Packs the command line for other machines: as a .NET tool (dotnet tool install --add-source OUTPUT Cluster.Cli), and as one file for Linux
# on x86-64, OUTPUT/cluster, that needs no .NET.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
output=$(realpath -m "${1:?usage: deploy/cli/package.sh OUTPUT}")
# Apart from what ./cluster runs, which is built for this machine's .NET.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 UseSharedCompilation=false DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

pack() { dotnet "$1" "$root/clients/Cli" -c Release -v quiet -nologo "-p:ArtifactsPath=$work/" "${@:2}"; }

pack pack -p:PackAsTool=true -p:ToolCommandName=cluster -o "$output"
# The analyzer for single files is a package that the lock file does not have.
pack publish -r linux-x64 --self-contained -p:PublishSingleFile=true -p:EnableSingleFileAnalyzer=false \
  -p:IncludeNativeLibrariesForSelfExtract=true -p:DebugType=none -o "$work/single"
install -D -m 755 "$work/single/Cluster.Cli" "$output/cluster"
