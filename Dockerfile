# syntax=docker/dockerfile:1

# The program is one static file; the image holds it, the roots of TLS, and
# nothing to log in to.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w ${VERSION:+-X main.release=${VERSION}}" -o /out/ddpserver ./cmd/ddpserver
# What the program expects of a root file system, owned by its user.
RUN mkdir -p /out/image/data /out/image/tmp /out/image/etc/ssl/certs \
 && cp /etc/ssl/certs/ca-certificates.crt /out/image/etc/ssl/certs/ \
 && echo 'ddpserver:x:65532:65532:ddpserver:/data:/sbin/nologin' > /out/image/etc/passwd \
 && echo 'ddpserver:x:65532:' > /out/image/etc/group \
 && chmod 0700 /out/image/data && chmod 1777 /out/image/tmp && chown -R 65532:65532 /out/image/data

FROM scratch
COPY --from=build /out/image/ /
COPY --from=build /out/ddpserver /usr/bin/ddpserver
COPY configs /configs
# A container is reached from outside it; what may reach it is decided by the
# port that is published.
ENV BIND_IP=0.0.0.0 PORT=3000 DATA_DIR=/data LOG_FORMAT=json
USER 65532:65532
WORKDIR /
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["/usr/bin/ddpserver", "healthcheck"]
ENTRYPOINT ["/usr/bin/ddpserver"]
CMD ["serve"]
