#!/bin/sh
# Answers one HTTP request on standard input as greeter.wasm does: GET /env shows the greeting, POST /echo its own body.
read -r method path _
length=0
while read -r name value && [ "$name" != "$(printf '\r')" ]; do
    case $name in
    [Cc]ontent-[Ll]ength:) length=${value%?} ;;
    esac
done
answer() {
    printf 'HTTP/1.1 %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$1" "${#2}" "$2"
}
case "$method $path" in
"GET /env") answer '200 OK' "GREETING=$GREETING
" ;;
"POST /echo") answer '200 OK' "$(head -c "$length")" ;;
*) answer '404 Not Found' '' ;;
esac
