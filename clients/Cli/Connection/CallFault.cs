using Cluster.Cli.Rendering;
using Cluster.Contracts.Access;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>Says in a line what a status means for the person at the keyboard.</summary>
internal static class CallFault
{
    public static CliException Explain(RpcException fault, string server)
    {
        var detail = Printable.OneLine(fault.Status.Detail);
        return fault.Meaning() switch
        {
            // Its own word: a connection that failed has an exception.
            StatusCode.Unavailable when fault is { StatusCode: StatusCode.Unavailable, Status.DebugException: null } => new(
                ExitCode.Unreachable, $"the scheduler at {server} cannot serve this now: {detail}; try again in a moment"),
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

    // The detail of a failed connection is the client library's own long sentence; the innermost exception is the system's short one.
    private static string Cause(RpcException fault)
    {
        var cause = fault.Status.DebugException;
        while (cause?.InnerException is { } inner)
            cause = inner;
        return Printable.OneLine(cause?.Message ?? fault.Status.Detail);
    }
}
