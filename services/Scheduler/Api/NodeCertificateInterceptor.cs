using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>Where the scheduler speaks TLS, nodes and trainers show a node's certificate: a token that was copied does not do.</summary>
public sealed class NodeCertificateInterceptor(IOptions<TlsOptions> tls) : Interceptor
{
    public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        Check(context);
        return continuation(request, context);
    }

    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        Check(context);
        return continuation(requestStream, context);
    }

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        Check(context);
        return continuation(request, responseStream, context);
    }

    private void Check(ServerCallContext context)
    {
        var scope = RequiredScope.ByPath.GetValueOrDefault(context.Method);
        if (!tls.Value.IsOn || scope is not (Scope.Node or Scope.Attempt))
            return;
        // That it is the authority's and valid has been seen to when the connection was made.
        var shown = context.GetHttpContext().Connection.ClientCertificate;
        if (shown is null || CertificateUnit.Of(shown) != CertificateUnit.Node)
        {
            throw new RpcException(new Status(
                StatusCode.Unauthenticated,
                $"{context.Method} is for nodes, which show a certificate of the unit {CertificateUnit.Node}; give the agent one in "
                    + "Tls:CertificateFile and Tls:KeyFile (./cluster certs node makes them)"));
        }
    }
}
