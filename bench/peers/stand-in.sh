#!/bin/bash
# Stands where a trainer would: tells a port of loopback for whom it was started and when it began, and ends.
# usage: stand-in.sh PORT|hold WORKER trainer --job NAME …; with hold it stays. What else an agent starts is the worker program itself.
began=$EPOCHREALTIME
[ "$3" = trainer ] || exec "$2" "${@:3}"
[ "$1" != hold ] || exec sleep infinity
echo "$5 $began" >"/dev/udp/127.0.0.1/$1"
