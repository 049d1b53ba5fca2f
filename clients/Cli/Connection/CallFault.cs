using System.Security.Authentication;
using Cluster.Cli.Rendering;
using Cluster.Contracts.Access;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>Says in a line what a status means for the person at the keyboard.</summary>
internal static class CallFault
{
    // RFC 9113, section 7; a port that speaks TLS says so to who does not.
    private const long InadequateSecurity = 0xc;

    public static CliException Explain(RpcException fault, string server)
    {
        var detail = Printable.OneLine(fault.Status.Detail);
        return fault.Meaning() switch
        {
            // gRPC makes PermissionDenied of it.
            _ when CauseOf<HttpProtocolException>(fault) is { ErrorCode: InadequateSecurity } => new(
                ExitCode.Unreachable, $"the scheduler at {server} speaks TLS; write https:// in --server or CLUSTER_SERVER"),
            // Its own word: a connection that failed has an exception.
            StatusCode.Unavailable when fault is { StatusCode: StatusCode.Unavailable, Status.DebugException: null } => new(
                ExitCode.Unreachable, $"the scheduler at {server} cannot serve this now: {detail}; try again in a moment"),
            StatusCode.Unavailable when CauseOf<AuthenticationException>(fault) is { } distrust => new(ExitCode.Unreachable,
                $"the scheduler at {server} is not trusted ({Printable.OneLine(distrust.Message)}); --ca-file or CLUSTER_CA_FILE names the "
                    + "authority of its certificate, which must have this address; one without TLS has http://"),
            StatusCode.Unavailable => new(ExitCode.Unreachable,
                $"cannot reach the scheduler at {server} ({Cause(fault)}); start one with ./cluster up, "
                    + "or name another with --server or CLUSTER_SERVER"),
            StatusCode.DeadlineExceeded => new(
                ExitCode.Unreachable, $"the scheduler at {server} did not answer in time; see whether it is overloaded, then try again"),
            StatusCode.Unauthenticated => new(ExitCode.Denied,
                $"the scheduler at {server} refuses the token given by --token, CLUSTER_TOKEN or CLUSTER_TOKEN_FILE: {detail}"),
            StatusCode.PermissionDenied => new(ExitCode.Denied, $"the token does not allow this: {detail}"),
            StatusCode.InvalidArgument or StatusCode.ResourceExhausted or StatusCode.OutOfRange => new(ExitCode.Usage, detail),
            StatusCode.NotFound or StatusCode.FailedPrecondition or StatusCode.AlreadyExists => new(ExitCode.Refused, detail),
            StatusCode.Unimplemented => new(
                ExitCode.Failed, $"the scheduler at {server} is of another version and does not know this call ({detail})"),
            var code => new(ExitCode.Failed, $"the scheduler failed: {detail} ({code}); its log says more"),
        };
    }

    private static T? CauseOf<T>(RpcException fault)
        where T : Exception
    {
        var cause = fault.Status.DebugException;
        while (cause is not (null or T))
            cause = cause.InnerException;
        return (T?)cause;
    }

    // The detail of a failed connection is the client library's own long sentence; the innermost exception is the system's short one.
    private static string Cause(RpcException fault)
    {
        var cause = fault.Status.DebugException;
        while (cause?.InnerException is { } inner)
            cause = inner;
        return Printable.OneLine(cause?.Message ?? fault.Status.Detail);
    }
}
