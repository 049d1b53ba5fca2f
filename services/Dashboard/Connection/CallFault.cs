using Cluster.Contracts.Access;
using Grpc.Core;

namespace Cluster.Dashboard.Connection;

/// <summary>What a status means for the person at the screen.</summary>
internal static class CallFault
{
    /// <summary>Nobody answered, or one that cannot serve now: it is worth asking again.</summary>
    public static bool IsPassing(RpcException fault) =>
        fault.Meaning() is StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Cancelled;

    /// <summary>Where no page says it, but an answer.</summary>
    public static int HttpStatus(RpcException fault) => fault.Meaning() switch
    {
        StatusCode.NotFound or StatusCode.InvalidArgument => StatusCodes.Status404NotFound,
        StatusCode.Unauthenticated or StatusCode.PermissionDenied => StatusCodes.Status403Forbidden,
        _ => StatusCodes.Status503ServiceUnavailable,
    };

    public static string Explain(RpcException fault) => fault.Meaning() switch
    {
        // Its own word: a connection that failed has an exception.
        StatusCode.Unavailable when fault is { StatusCode: StatusCode.Unavailable, Status.DebugException: null } =>
            $"the scheduler cannot serve this now: {fault.Status.Detail}",
        StatusCode.Unavailable or StatusCode.Cancelled => "no scheduler answers",
        StatusCode.DeadlineExceeded => "the scheduler did not answer in time",
        StatusCode.PermissionDenied => $"your token does not allow this: {fault.Status.Detail}",
        _ => fault.Status.Detail,
    };
}
