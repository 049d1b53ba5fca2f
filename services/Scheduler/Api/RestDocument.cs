using Google.Api;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace Cluster.Scheduler.Api;

/// <summary>
/// Describes the REST routes in OpenAPI, from the same protos that make them: transcoded routes are nothing that ASP.NET Core's own
/// description sees.
/// </summary>
internal sealed class RestDocument(IEnumerable<ServiceDescriptor> services) : IOpenApiDocumentTransformer
{
    private const string Json = "application/json";
    private const string Bearer = "bearer";

    public Task TransformAsync(
        OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo { Title = "Cluster", Version = "v1" };
        // Whoever reads it has reached it: the routes lie beside it.
        document.Servers = [new OpenApiServer { Url = "/" }];
        document.Components ??= new OpenApiComponents();
        document.AddComponent(Bearer, new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = Bearer });
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
        var schemas = new RestSchemas(document);
        foreach (var method in services.SelectMany(service => service.Methods))
        {
            if (method.GetOptions()?.GetExtension(AnnotationsExtensions.Http) is not { } rule)
                continue;
            var (verb, path) = Route(rule);
            if (!document.Paths.TryGetValue(path, out var item))
                document.Paths.Add(path, item = new OpenApiPathItem { Operations = [] });
            item.Operations!.Add(verb, Operation(method, path, rule.Body == "*", schemas));
        }

        return Task.CompletedTask;
    }

    private static (HttpMethod Verb, string Path) Route(HttpRule rule) => rule.PatternCase switch
    {
        HttpRule.PatternOneofCase.Get => (HttpMethod.Get, rule.Get),
        HttpRule.PatternOneofCase.Post => (HttpMethod.Post, rule.Post),
        HttpRule.PatternOneofCase.Put => (HttpMethod.Put, rule.Put),
        HttpRule.PatternOneofCase.Patch => (HttpMethod.Patch, rule.Patch),
        HttpRule.PatternOneofCase.Delete => (HttpMethod.Delete, rule.Delete),
        _ => throw new InvalidOperationException($"google.api.http is {rule}; give it get, post, put, patch or delete"),
    };

    private static OpenApiOperation Operation(MethodDescriptor method, string path, bool hasBody, RestSchemas schemas)
    {
        var fields = method.InputType.Fields.InDeclarationOrder();
        var inPath = fields.Where(field => path.Contains($"{{{field.Name}}}", StringComparison.Ordinal)).ToList();
        var inQuery = hasBody ? [] : fields.Except(inPath).Where(field => field.IsMap || field.FieldType != FieldType.Message);
        return new OpenApiOperation
        {
            OperationId = method.Name,
            Tags = new HashSet<OpenApiTagReference>(),
            Summary = method.IsServerStreaming ? $"{method.FullName}: a stream, one JSON document a line" : method.FullName,
            Parameters =
            [
                .. inPath.Select(field => Parameter(field.Name, ParameterLocation.Path, field, schemas)),
                .. inQuery.Select(field => Parameter(field.JsonName, ParameterLocation.Query, field, schemas)),
            ],
            RequestBody = hasBody ? new OpenApiRequestBody { Required = true, Content = Content(schemas.Of(method.InputType)) } : null,
            Responses = new OpenApiResponses
            {
                ["200"] = new OpenApiResponse { Description = "OK", Content = Content(schemas.Of(method.OutputType)) },
                ["default"] = new OpenApiResponse { Description = "A refusal or a fault", Content = Content(RestSchemas.Status) },
            },
        };
    }

    private static OpenApiParameter Parameter(string name, ParameterLocation location, FieldDescriptor field, RestSchemas schemas) => new()
    {
        Name = name,
        In = location,
        Required = location == ParameterLocation.Path,
        Schema = schemas.Of(field),
    };

    private static Dictionary<string, OpenApiMediaType> Content(IOpenApiSchema schema) =>
        new() { [Json] = new OpenApiMediaType { Schema = schema } };
}

/// <summary>Messages as protobuf's JSON has them.</summary>
internal sealed class RestSchemas(OpenApiDocument document)
{
    /// <summary>Of a call that failed: google.rpc.Status.</summary>
    public static OpenApiSchema Status { get; } = new()
    {
        Type = JsonSchemaType.Object,
        Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["code"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Description = "of gRPC" },
            ["message"] = new OpenApiSchema { Type = JsonSchemaType.String },
        },
    };

    public IOpenApiSchema Of(MessageDescriptor message)
    {
        if (message == Timestamp.Descriptor)
            return new OpenApiSchema { Type = JsonSchemaType.String, Format = "date-time" };
        if (message == Duration.Descriptor)
            return new OpenApiSchema { Type = JsonSchemaType.String, Description = "seconds, such as 1.5s" };
        if (document.Components!.Schemas?.ContainsKey(message.Name) != true)
        {
            var schema = new OpenApiSchema { Type = JsonSchemaType.Object, Properties = new Dictionary<string, IOpenApiSchema>() };
            // Before its fields: a message may hold one of its own kind.
            document.AddComponent(message.Name, schema);
            foreach (var field in message.Fields.InDeclarationOrder())
                schema.Properties.Add(field.JsonName, Of(field));
        }

        return new OpenApiSchemaReference(message.Name, document);
    }

    public IOpenApiSchema Of(FieldDescriptor field)
    {
        if (field.IsMap)
        {
            return new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                AdditionalProperties = One(field.MessageType.FindFieldByNumber(2)),
            };
        }

        return field.IsRepeated ? new OpenApiSchema { Type = JsonSchemaType.Array, Items = One(field) } : One(field);
    }

    private IOpenApiSchema One(FieldDescriptor field) => field.FieldType switch
    {
        FieldType.Message => Of(field.MessageType),
        FieldType.Enum => new OpenApiSchema
        {
            Type = JsonSchemaType.String,
            Enum = [.. field.EnumType.Values.Select(value => (System.Text.Json.Nodes.JsonNode)value.Name)],
        },
        FieldType.Bool => new OpenApiSchema { Type = JsonSchemaType.Boolean },
        FieldType.String => new OpenApiSchema { Type = JsonSchemaType.String },
        FieldType.Bytes => new OpenApiSchema { Type = JsonSchemaType.String, Format = "byte" },
        // What is not finite is a word: "NaN".
        FieldType.Double or FieldType.Float => new OpenApiSchema { Type = JsonSchemaType.Number | JsonSchemaType.String },
        FieldType.Int64 or FieldType.UInt64 or FieldType.SInt64 or FieldType.Fixed64 or FieldType.SFixed64 =>
            new OpenApiSchema { Type = JsonSchemaType.String, Format = "int64" },
        _ => new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32" },
    };
}
