using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Grpc.Net.Client;

internal sealed partial class HttpCall<TRequest, TResponse>
{
    private void LogStart(string method) => HttpCallLog.Starting(channel.Logger, method);

    private void LogEnd(Status status)
    {
        if (status.StatusCode == StatusCode.OK)
            HttpCallLog.Finished(channel.Logger, Method.FullName);
        else
            HttpCallLog.Failed(channel.Logger, Method.FullName, status.StatusCode, status.Detail);
    }
}

internal static partial class HttpCallLog
{
    [LoggerMessage(Level = LogLevel.Debug, EventId = 1, Message = "Starting gRPC call {Method}")]
    public static partial void Starting(ILogger logger, string method);

    [LoggerMessage(Level = LogLevel.Debug, EventId = 2, Message = "Finished gRPC call {Method}")]
    public static partial void Finished(ILogger logger, string method);

    [LoggerMessage(Level = LogLevel.Information, EventId = 3, Message = "gRPC call {Method} failed with status {StatusCode}: {Detail}")]
    public static partial void Failed(ILogger logger, string method, StatusCode statusCode, string detail);
}
